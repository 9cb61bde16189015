"""How Flower is set: `celery -A workers flower` reads this file from where it is started.

What the command line or a variable FLOWER_… says goes before what stands here.
"""

from workers.flowerpage.options import defaults

globals().update(defaults())
