"""From outcomes to advice: objectives, frontier, intervals, recommendation."""
