"""Files of pictures and sound: what they are, reading them in time, writing them."""
