"""The probes that keep all rules, inside the validator of Python's own library."""

from wsgiref.validate import validator

import probes

echo = validator(probes.digest)
late = validator(probes.late)
whole = validator(probes.whole)
writes = validator(probes.writes)
