"""Everything of the originals: their files, names of tensors, outputs."""
