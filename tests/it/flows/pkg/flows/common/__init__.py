from .models import Settings as ExportedSettings
from . import models
