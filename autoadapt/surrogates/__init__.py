"""What is believed of a candidate before it is measured, and the gain it promises."""
