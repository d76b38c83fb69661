"""The page on which a visitor of the demo chooses who to be."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from html import escape

from gateway.demo.personas import ACR_VALUES, PERSONAS, Persona
from schema.vocabulary import Assurance

_STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}"
    "body{color:#0b0c0c;background:#fff}"
    "fieldset{border:0;padding:0;margin:1.5rem 0}legend{font-weight:700}label{display:block;padding:.4rem 0}"
    "button{font:inherit;padding:.6rem 1.2rem}.demo{border-left:.4rem solid #b10e1e;padding-left:1rem}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# no form-action: browsers apply it to the redirect back to the client too
CONTENT_SECURITY_POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; frame-ancestors 'none'"

_CARRIED = (
    "response_type",
    "client_id",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
)
_STRENGTHS = {"standard": "Standard (password)", "strong": "Strong (password and a second factor)"}


def sign_in_page(asked: Mapping[str, str]) -> str:
    """Return the page for an authorization request that has been validated; it posts the same request back."""
    carried = "".join(
        f'<input type="hidden" name="{name}" value="{escape(asked[name])}">' for name in _CARRIED if name in asked
    )
    people = [persona for persona in PERSONAS.values() if persona.client_id is None]
    chosen = _preselected(asked.get("acr_values", ""))
    strengths = "".join(_radio("acr", word, label, checked=word == chosen) for word, label in _STRENGTHS.items())
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Sign in to the demo</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body><main>'
        "<h1>Who are you today?</h1>"
        '<p class="demo">This is a demo. Everybody here is fictional, and nobody needs a password.</p>'
        f'<form method="post" autocomplete="off">{carried}'
        f"<fieldset><legend>Sign in as</legend>{''.join(_persona(persona, n == 0) for n, persona in enumerate(people))}"
        f"</fieldset><fieldset><legend>How you sign in</legend>{strengths}</fieldset>"
        "<button>Sign in</button></form></main></body></html>"
    )


def _preselected(acr_values: str) -> str:
    """Return the strength that a client prefers (RFC 9470 section 4); strong unless it names the other."""
    wanted = acr_values.split(" ")
    standard = Assurance.STANDARD.value.lower()
    return standard if wanted[0] == ACR_VALUES[standard] else Assurance.STRONG.value.lower()


def _persona(persona: Persona, checked: bool) -> str:
    label = f"{persona.name}, {persona.works_as}, {persona.organisation}"
    return _radio("persona", persona.key, label, checked=checked)


def _radio(name: str, value: str, label: str, *, checked: bool) -> str:
    mark = " checked" if checked else ""
    return f'<label><input type="radio" name="{name}" value="{escape(value)}"{mark}> {escape(label)}</label>'
