"""The words everyone shares: identifiers, records, sections and the published schema. Imports none of our packages."""
