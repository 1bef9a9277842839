"""What every room may use and no room owns: files, images, command lines.

Nothing here knows chips, data sets or detectors: what does belongs in the
room of its subject.
"""
