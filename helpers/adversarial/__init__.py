"""The attack of Szegedy et al. (2013): the smallest change of an image for which a network gives it another label."""
