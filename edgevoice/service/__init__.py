"""Making edgevoice a service of systemd, and ending that: what ``edgevoice service`` does."""
