"""What installs edgevoice on a board without a network and without a compiler: packages, models and an installer."""
