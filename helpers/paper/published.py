"""What the paper prints in its tables 1 to 4, to stand beside what is measured here.

C. Szegedy, W. Zaremba, I. Sutskever, J. Bruna, D. Erhan, I. Goodfellow and R. Fergus, "Intriguing properties of neural
networks", arXiv:1312.6199. Errors in percent; distortions are root mean squares a pixel, of pixels in [0, 1].
"""

# The percentages of table 2 are multiples of 1/256, so the paper seems to have attacked about so many images a model.
IMAGES = 256

TABLE_1 = {  # train error, test error, average minimum distortion
    "FC10(1e-4)": (6.7, 7.4, 0.062),
    "FC10(1e-2)": (10, 9.4, 0.1),
    "FC10(1)": (21.2, 20, 0.14),
    "FC100-100-10": (0, 1.64, 0.058),
    "FC200-200-10": (0, 1.54, 0.065),
    "AE400-10": (0.57, 1.9, 0.086),
}
# Error of each network, in the order of table 1, on what was made for the network of the row.
TABLE_2 = {
    "FC10(1e-4)": (100, 11.7, 22.7, 2, 3.9, 2.7),
    "FC10(1e-2)": (87.1, 100, 35.2, 35.9, 27.3, 9.8),
    "FC10(1)": (71.9, 76.2, 100, 48.1, 47, 34.4),
    "FC100-100-10": (28.9, 13.7, 21.1, 100, 6.6, 2),
    "FC200-200-10": (38.2, 14, 23.8, 20.3, 100, 2.7),
    "AE400-10": (23.4, 16, 24.8, 9.4, 6.6, 100),
}
NOISE_2 = {0.1: (5, 10.1, 18.3, 0, 0, 0.8), 0.3: (15.6, 11.3, 22.7, 5, 4.3, 3.1)}  # by the noise's standard deviation

TABLE_3 = {  # error on P1, on P2, on the test set, average minimum distortion
    "FC100-100-10 P1": (0, 2.4, 2, 0.062),
    "FC123-456-10 P1": (0, 2.5, 2.1, 0.059),
    "FC100-100-10 P2": (2.3, 0, 2.1, 0.058),
}
TABLE_4 = {
    "FC100-100-10 P1": (100, 26.2, 5.9),
    "FC123-456-10 P1": (6.25, 100, 5.1),
    "FC100-100-10 P2": (8.2, 8.2, 100),
}
AMPLIFIED_4 = {  # the same changes, made larger: a root mean square of 0.1
    "FC100-100-10 P1": (100, 98, 43),
    "FC123-456-10 P1": (96, 100, 22),
    "FC100-100-10 P2": (27, 50, 100),
}
NOISE_4 = {0.06: (2.2, 2.6, 2.4), 0.1: (2.6, 2.8, 2.7)}
