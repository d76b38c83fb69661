"""Driver `probation`: the HMPPS External API, about an adult whom children's services linked to the child."""
