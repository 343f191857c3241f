"""The divergence by which a student is held to a teacher, or driven away from one."""

import torch.nn.functional as F
from torch import Tensor


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T²·KL(p_teacher ‖ p_student), both softmax(logits / T), the mean over the batch.

    student, teacher: (B, C) logits. T² keeps the gradients' size as T grows (Hinton et al. 2015).
    """
    kl = F.kl_div(
        F.log_softmax(student / temperature, dim=1),
        F.log_softmax(teacher / temperature, dim=1),
        reduction="batchmean",
        log_target=True,
    )
    return kl * temperature**2
