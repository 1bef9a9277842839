"""Settings of AutoFocus fitted to one checkpoint: measured, then simulated.

``recording`` runs the network once on each image at each of many levels. From
that ``simulation`` computes what AutoFocus with any setting would detect and
look at, and ``scoring`` the AP. ``levels`` measures which object sizes the
detector finds well at which level, ``candidates`` lists settings to try, and
``search`` tries them. ``tuner`` does all this for a config and confirms the
result by real runs. ``adding`` is for a new focus head; ``report`` writes and
plots the results.
"""
