from .ssh_neck import SSHNeck
