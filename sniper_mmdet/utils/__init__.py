"""Helpers for all rooms: files, images, command lines, text of configs.

Nothing here depends on chips, data sets or detectors: code that does belongs
in the room of its subject.
"""
