"""Puts our page into Flower: its addresses before Flower's own, its tab among Flower's."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from flower.urls import handlers, settings
from tornado.template import Loader, Template
from tornado.web import StaticFileHandler, url

from workers.flowerpage import views
from workers.flowerpage.pulse import Pulse
from xenlaunch.ledger import Ledger

HERE: Final = Path(__file__).parent
LAUNCH: Final = "(l-[a-z2-7]{16})"
FIRST_TAB: Final = '<ul class="app-nav navbar-nav">'
TAB: Final = """
        <li class="nav-item">
          <a class="nav-link{% if active_tab == 'launches' %} active{% end %}"
            href="{{ reverse_url('launches') }}"
            {% if active_tab == 'launches' %}aria-current="page"{% end %}>Launches</a>
        </li>"""


class OwnTemplates(Loader):
    """Flower's templates, with ours beside them and our tab in its navigation."""

    def _create_template(self, name: str) -> Template:
        ours = HERE / "templates" / name
        if not ours.is_file() and name != "navbar.html":
            return super()._create_template(name)
        text = (ours if ours.is_file() else Path(self.root, name)).read_text(encoding="utf-8")
        return Template(text.replace(FIRST_TAB, FIRST_TAB + TAB, 1), name=name, loader=self)


def install(ledger: Callable[[], Ledger]) -> None:
    """Add the page, for the Flower that is about to be made."""
    settings["template_loader"] = OwnTemplates(settings["template_path"])
    reads, pulse = {"ledger": ledger}, {"pulse": Pulse(ledger)}
    handlers[:0] = [
        url(r"/launches", views.Page, name="launches"),
        url(rf"/launches/{LAUNCH}", views.Page, name="launch"),
        url(r"/launches/api/overview", views.Overview, reads),
        url(rf"/launches/api/launch/{LAUNCH}", views.Detail, reads),
        url(rf"/launches/api/cancel/{LAUNCH}", views.Cancel, reads),
        url(r"/launches/api/events", views.Events, pulse),
        url(
            r"/launches/static/(.*)",
            StaticFileHandler,
            {"path": str(HERE / "static")},
            name="launches-static",
        ),
    ]
