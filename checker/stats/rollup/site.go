package rollup

import "regexp"

// LocalSite selects the counts of the store itself, without those of its sites.
const LocalSite = "local"

var siteName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// ValidSite reports whether a site can have a name.
func ValidSite(name string) bool { return siteName.MatchString(name) && name != LocalSite }
