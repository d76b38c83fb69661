"""Local authorities' children's services: our own GraphQL interface, one endpoint an authority."""
