"""What the tests ask: a document that selects every field there is, and others that select the same in odd ways."""

from __future__ import annotations

_CONTACT = "mode phone email outOfHours expectedResponse"
_AGENCY = "agency { id name kind area }"
_ENTRY = f"""
    id {_AGENCY} sources {{ id name kind area }} service {{ code name }}
    practitioner {{ name role registration {{ body number }} }}
    role team {{ name }} contact {{ {_CONTACT} }}
    status startedOn endedOn lead relationship lastConfirmedAt
"""

EVERYTHING = f"""
query Everything($key: ChildKey!, $access: AccessRequest!, $status: [InvolvementStatus!] = [CURRENT, PREVIOUS]) {{
  child(key: $key, access: $access) {{
    outcome complete advice receipt
    sources {{ agency {{ id name kind area safeguardingLead {{ {_CONTACT} }} }} status reason asOf }}
    involvements(status: $status) {{ {_ENTRY} }}
    leadPractitioner {{ id practitioner {{ name }} }}
    identity {{ givenNames familyName dateOfBirth }}
    childrensServices {{
      statuses {{ {_AGENCY} status since until }}
      plans {{ {_AGENCY} kind startedOn endedOn reviewDueOn conferenceOn coreGroupOn }}
    }}
    police {{
      events {{ {_AGENCY} kind openedOn closedOn status }}
      orders {{ {_AGENCY} kind startedOn endedOn unit phone outOfHours }}
      notifications {{ {_AGENCY} kind sentOn recipient }}
    }}
    probation {{
      supervision {{ {_AGENCY} kind since until allocated establishment }}
      risk {{ {_AGENCY} code description startedOn reviewDueOn }}
      riskToChildren {{ {_AGENCY} level assessedOn }}
      mappa {{ {_AGENCY} level category startedOn reviewDueOn }}
    }}
    health {{
      registration {{ {_AGENCY} practice practiceName since }}
      safeguarding {{ {_AGENCY} code since until authority phone outOfHours }}
    }}
    assessments {{ {_AGENCY} kind holder completedOn }}
  }}
}}
"""

_ASK = "($key: ChildKey!, $access: AccessRequest!"
_CHILD = "child(key: $key, access: $access)"

VARIANTS = {
    "the default answer": f"query {_ASK}) {{ {_CHILD} {{ outcome involvements {{ id practitioner {{ name }} }} }} }}",
    "only the outcome": f"query {_ASK}) {{ {_CHILD} {{ outcome }} }}",
    "aliases everywhere": f"""query {_ASK}) {{ asked: {_CHILD} {{ outcome
        was: involvements(status: [PREVIOUS, CURRENT]) {{ id who: practitioner {{ name }} at: agency {{ name }} }}
        now: involvements {{ id ring: contact {{ phone }} }}
        first: leadPractitioner {{ id practitioner {{ name }} }}
        law: police {{ orders {{ what: kind }} }}
        notes: assessments {{ holder }}
    }} }}""",
    "fragments inside fragments": f"""
        query {_ASK}) {{ ...root }}
        fragment root on Query {{ {_CHILD} {{ outcome ...all
            ... on ChildLookup {{ health {{ ...flags }} }} }} }}
        fragment all on ChildLookup {{
            involvements(status: [CURRENT, PREVIOUS]) {{ id ...entry ...entry }}
            childrensServices {{ statuses {{ status }} }} }}
        fragment entry on Involvement {{ role practitioner {{ ...person }} contact {{ phone }} }}
        fragment person on Practitioner {{ name registration {{ number }} }}
        fragment flags on HealthRecord {{ safeguarding {{ code }} registration {{ practice }} }}
    """,
    "one key in two places": f"""query {_ASK}) {{ {_CHILD} {{ outcome
        involvements {{ id }} involvements {{ practitioner {{ name }} }}
        ... {{ involvements {{ practitioner {{ role }} }} }}
        childrensServices {{ plans {{ kind }} }} childrensServices {{ statuses {{ since }} }}
    }} }}""",
    "included": f"""query {_ASK}, $yes: Boolean = true, $no: Boolean = false) {{ {_CHILD} {{ outcome
        involvements {{ id practitioner @include(if: $yes) {{ name role @include(if: $no) }}
            team @skip(if: $yes) {{ name }} }}
        police @include(if: $yes) {{ events {{ kind status @skip(if: $yes) }} }}
        health @include(if: $no) {{ safeguarding {{ code }} }}
        ... @skip(if: $no) {{ identity {{ familyName }} }}
        ... @skip(if: $yes) {{ assessments {{ kind }} }}
    }} }}""",
    "no ids": f"query {_ASK}) {{ {_CHILD} {{ outcome involvements {{ practitioner {{ name }} team {{ name }} }} }} }}",
    "one kind of agency": f"""query {_ASK}, $kinds: [AgencyKind!] = [POLICE, SCHOOL]) {{ {_CHILD} {{ outcome
        involvements(agencyKinds: $kinds) {{ id agency {{ kind }} practitioner {{ name }} }} }} }}""",
    "the lead alone": f"query {_ASK}) {{ {_CHILD} {{ outcome leadPractitioner {{ id practitioner {{ name }} }} }} }}",
    "deeper records alone": f"""query {_ASK}) {{ {_CHILD} {{ outcome
        probation {{ supervision {{ kind }} risk {{ code }} mappa {{ level }} }}
        police {{ events {{ kind }} }} }} }}""",
    "type names": f"""query {_ASK}) {{ __typename {_CHILD} {{ __typename outcome
        involvements {{ __typename id practitioner {{ __typename }} }}
        police {{ __typename }} }} viewer {{ subject }} }}""",
}
"""The same lookup written in many ways; the log must say of each exactly what its body holds."""
