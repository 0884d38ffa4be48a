package server

import (
	"io"
	"net/http"

	"github.com/go-json-experiment/json"

	"relcheck/checker/catalog"
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
	var body struct { // clients send null and other types
		AppVersion      any `json:"appVersion"`
		LonghornVersion any `json:"longhornVersion"`
		ExtraInfo       any `json:"extraInfo"`
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, maxRequestBody+1))
	if err != nil || len(text) > maxRequestBody || json.Unmarshal(text, &body) != nil {
		return fail(http.StatusBadRequest, "invalid_body", "", "the body is not a JSON object of at most 16 KB")
	}
	extra, _ := body.ExtraInfo.(map[string]any)
	for _, field := range []struct {
		name  string
		value any
	}{{"version", body.AppVersion}, {"version", body.LonghornVersion}, {"platform", extra["platform"]}} {
		if text, ok := field.value.(string); ok {
			c.vars.Add(field.name, text) // the first version wins
		}
	}
	caller := s.callerOf(r, c)
	s.count(w, r, c, caller)
	o, _ := c.judge(c.channel, caller.Release, caller.Version)
	if o.release == nil {
		return errNoAnswer
	}
	return s.answer(w, r, c, answerKey{entry: c.entry, channel: c.channel, latest: o.release}, func() (*answer, error) {
		return newAnswer(jsonType, encode(struct {
			Versions []upgradeVersion `json:"versions"`
			Interval int              `json:"requestIntervalInMinutes"`
		}{[]upgradeVersion{newUpgradeVersion(o.release)}, 60})), nil
	})
}

func newUpgradeVersion(r *catalog.Ranked) upgradeVersion {
	date, tags := githubTime(r.Date), []string{"latest", "stable"}
	if r.Prerelease {
		tags = tags[:1]
	}
	return upgradeVersion{Name: r.Tag, ReleaseDate: date, Tags: tags, CapitalName: r.Tag, CapitalReleaseDate: date, CapitalTags: tags, Supported: true}
}
