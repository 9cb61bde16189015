"""How Flower is set: `celery -A workers flower` reads this file from where it is started.

What the command line or a variable FLOWER_… says goes before what stands here.
"""

from workers.celery import app, runtime
from workers.flowerpage.install import install
from workers.flowerpage.options import defaults
from workers.guards import or_exit

globals().update(or_exit(defaults))
app.set_default()  # Flower's API asks for a result without saying of which app
install(lambda: runtime.ledger)
