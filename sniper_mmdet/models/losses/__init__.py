from .ancestor_losses import AncestorFocalLoss, SigmoidRoILoss
