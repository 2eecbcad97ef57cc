"""What a person sees: terminal, report and figures (the only room with rich and plotly)."""
