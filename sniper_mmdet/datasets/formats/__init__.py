"""Annotations and proposals in foreign formats, one file per format.

A format with one text file per image is a function that reads a line, for
:func:`.text_files.convert_text_files`. Any other format adds images and
objects to a :class:`.coco.CocoWriter`.
"""
