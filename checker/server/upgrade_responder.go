package server

import (
	"cmp"
	"net/http"

	"relcheck/checker/catalog"
	"relcheck/checker/server/dialect"
)

// upgradeVersion is a version in an answer of Longhorn's upgrade responder. Rancher Desktop
// reads the names with capitals.
type upgradeVersion struct {
	Name                 string            `json:"name"`
	ReleaseDate          string            `json:"releaseDate"`
	MinUpgradableVersion string            `json:"minUpgradableVersion"`
	Tags                 []string          `json:"tags"`
	ExtraInfo            map[string]string `json:"extraInfo"`

	CapitalName                 string            `json:"Name"`
	CapitalReleaseDate          string            `json:"ReleaseDate"`
	CapitalMinUpgradableVersion string            `json:"MinUpgradableVersion"`
	CapitalTags                 []string          `json:"Tags"`
	CapitalExtraInfo            map[string]string `json:"ExtraInfo"`

	Supported bool
}

// upgradeResponder answers POST /v1/checkupgrade, the check of Longhorn and Rancher Desktop.
// It names only the latest release, because Rancher Desktop installs the highest version.
func (s *Server) upgradeResponder(w http.ResponseWriter, r *http.Request, c *call) error {
	fields := map[string]string{"/appVersion": "", "/longhornVersion": "", "/extraInfo/platform": ""}
	if err := dialect.ReadBody(r.Body, fields); err != nil {
		return fail(http.StatusBadRequest, "invalid_body", "", err.Error())
	}
	c.vars.Add("version", cmp.Or(fields["/appVersion"], fields["/longhornVersion"]))
	c.vars.Add("platform", fields["/extraInfo/platform"])
	_, latest := s.check(w, r, c)
	if latest == nil {
		return errNoAnswer
	}
	return s.answer(w, r, c, answerKey{entry: c.entry, channel: c.channel, latest: latest}, func() (*answer, error) {
		return newJSON(encode(struct {
			Versions []upgradeVersion `json:"versions"`
			Interval int              `json:"requestIntervalInMinutes"`
		}{[]upgradeVersion{newUpgradeVersion(latest)}, 60})), nil
	})
}

func newUpgradeVersion(r *catalog.Ranked) upgradeVersion {
	date, tags := githubTime(r.Date), []string{"latest", "stable"}
	if r.Prerelease {
		tags = tags[:1]
	}
	return upgradeVersion{Name: r.Tag, ReleaseDate: date, Tags: tags, CapitalName: r.Tag, CapitalReleaseDate: date, CapitalTags: tags, Supported: true}
}
