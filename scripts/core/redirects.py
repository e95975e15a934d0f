"""HTTP redirects."""

from __future__ import annotations

import urllib.request


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none, so that each is an HTTPError: urllib would send credentials on to any host."""

    def redirect_request(self, *_: object) -> None:
        """Make the redirect an error."""
