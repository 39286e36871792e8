"""What each cause means to a person: what was found, what was expected, and what to do now."""
