"""Annotations and proposals in the formats of others, one file per format.

A format of one text file per image is a function that reads a line, for
:func:`.text_files.convert_text_files`; any other adds images and objects to a
:class:`.coco.CocoWriter`.
"""
