"""Settings fitted to one checkpoint: measured once, then simulated.

``recording`` runs the network once on each image at each of many levels;
``simulation`` tells what AutoFocus with any setting would have found and
looked at, ``scoring`` its AP. ``levels`` asks which sizes the detector finds
well at which level, ``candidates`` are settings to try, ``search`` tries them.
``tuner`` does all of it for a config and confirms by real runs; ``adding`` is
for a new focus head; ``report`` writes and draws.
"""
