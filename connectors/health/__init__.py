"""Driver `health`: FHIR R4 with UK Core identifiers; the trace as the Personal Demographics Service publishes it."""
