"""Who is asking, and what may they see. No web framework, no database."""
