"""The page of a server on which its option can be tried."""

import html
from importlib.resources import files
from string import Template

from autoadapt.bundle.description import BundleDescription


def page(description: BundleDescription, needs_token: bool, nonce: str) -> str:
    """The page as HTML.

    Args:
        description: of the bundle that answers.
        needs_token: whether it asks for a token.
        nonce: of its style and script, which nothing else may run.
    """
    columns = description.columns.input
    fields = "".join(
        f'<label>{html.escape(column)}<textarea name="{html.escape(column)}" rows="4" required></textarea></label>'
        for column in columns
    )
    token = '<label>token<input type="password" name="token" autocomplete="off" required></label>'
    return Template(files("autoadapt.bundle.serving").joinpath("page.html").read_text(encoding="utf-8")).substitute(
        nonce=nonce,
        task=html.escape(description.task),
        option=html.escape(f"{description.option}, {description.parts_text}"),
        scored=html.escape(description.quality_text),
        token=token if needs_token else "",
        fields=fields,
    )


def page_headers(nonce: str) -> dict[str, str]:
    """Headers by which the page runs its own script alone and speaks to its own server alone."""
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; "
        "form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    )
    return {"Content-Security-Policy": policy, "Referrer-Policy": "no-referrer"}
