"""The rest of the paper, reproduced: python -m helpers.paper lists what there is."""
