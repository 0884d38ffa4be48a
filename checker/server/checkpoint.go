package server

import (
	"cmp"
	"fmt"
	"io"
	"net/http"

	"relcheck/checker/catalog"
	"relcheck/checker/server/dialect"
)

var checkpointPatterns = []string{"/v1/check/{product...}", "/v1/versions/{service}", "/v1/telemetry/{dropped...}"}

// checkpointAnswer is the answer of HashiCorp's Checkpoint to a check. Old clients read
// CurrentReleaseDate, newer ones CurrentRelease. Clients believe Outdated and keep the answer
// for two days.
type checkpointAnswer struct {
	Product             string            `json:"product"`
	CurrentVersion      string            `json:"current_version"`
	CurrentRelease      int64             `json:"current_release"` // seconds since 1970
	CurrentReleaseDate  int64             `json:"current_release_date"`
	CurrentDownloadURL  string            `json:"current_download_url"`
	CurrentChangelogURL string            `json:"current_changelog_url"`
	ProjectWebsite      string            `json:"project_website"`
	Outdated            bool              `json:"outdated"`
	Alerts              []checkpointAlert `json:"alerts"`
}

type checkpointAlert struct {
	ID      int64  `json:"id"`
	Date    int64  `json:"date"`
	Message string `json:"message"`
	URL     string `json:"url"`
	Level   string `json:"level"`
}

// checkpoint answers in the dialect of Checkpoint, which Terraform and other products of
// HashiCorp ask.
func (s *Server) checkpoint(w http.ResponseWriter, r *http.Request, c *call) error {
	if c.vars.Get("dropped") != "" {
		if err := only(http.MethodPost, w, r); err != nil {
			return err
		}
		io.Copy(io.Discard, io.LimitReader(r.Body, maxRequestBody)) // an error does not matter
		return newAnswer(http.StatusCreated, http.Header{}, nil).send(w, r)
	}
	if err := only(http.MethodGet, w, r); err != nil {
		return err
	}
	if c.vars.Get("product") == "" {
		return newJSON([]byte("{}\n")).send(w, r)
	}
	if err := c.setNamed(); err != nil {
		return err
	}
	query := r.URL.Query()
	for _, name := range []string{"version", "os", "arch"} {
		c.vars.Add(name, query.Get(name))
	}
	caller, latest := s.check(w, r, c)
	if latest == nil {
		return errNoAnswer
	}
	rest := fmt.Sprint(caller.Verdict, " ", caller.Platform)
	if caller.Verdict == dialect.Withdrawn {
		rest += " " + caller.Version
	}
	return s.answer(w, r, c, answerKey{entry: c.entry, channel: c.channel, latest: latest, base: c.base, rest: rest}, func() (*answer, error) {
		return newJSON(encode(s.newCheckpointAnswer(c, latest, caller))), nil
	})
}

func (s *Server) newCheckpointAnswer(c *call, latest *catalog.Ranked, caller dialect.Caller) checkpointAnswer {
	links, date := callLinks{s, c}, int64(0)
	if !latest.Date.IsZero() {
		date = latest.Date.Unix()
	}
	notes := links.Notes(latest)
	a := checkpointAnswer{
		Product: c.Name, CurrentVersion: c.scheme.Trim(latest.Tag), CurrentRelease: date, CurrentReleaseDate: date,
		CurrentDownloadURL: cmp.Or(links.Download(latest, caller.Platform), notes), CurrentChangelogURL: notes, ProjectWebsite: s.options.Base + "/products/" + c.Name,
		Outdated: caller.Verdict == dialect.Outdated || caller.Verdict == dialect.Withdrawn, Alerts: []checkpointAlert{},
	}
	if caller.Verdict == dialect.Withdrawn {
		alert := checkpointAlert{Date: date, Message: caller.Version + " was withdrawn", URL: notes, Level: "critical"}
		if r := caller.Release; r != nil {
			alert.ID, alert.URL = r.ID, links.Notes(r)
			if r.Reason != "" {
				alert.Message += ": " + r.Reason
			}
		}
		a.Alerts = append(a.Alerts, alert)
	}
	return a
}
