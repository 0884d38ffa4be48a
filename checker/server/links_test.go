package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/printable"
	"relcheck/db"
)

// badLinks are stored, as an older relcheck could have stored them, and must not
// reach any client. The first text is the template of downloads.
var badLinks = []struct {
	name, download, notes string
	on                    checker.Platform // that gets the bad link of the template
	asset                 string           // of that platform, in place of a template
}{
	{name: "javascript", download: "{linux:https}{windows:javascript}://bad.example/{tag}", on: checker.Platform{OS: "windows", Arch: "amd64"}},
	{name: "password", download: "https://{windows:user:secret@}bad.example/{tag}", on: checker.Platform{OS: "windows", Arch: "arm64"}},
	{name: "right to left", download: "https://bad.example/{darwin:\u202e}", on: checker.Platform{OS: "darwin", Arch: "arm64"}},
	{name: "asset", asset: "javascript:alert(1)//bad.example", on: checker.Platform{OS: "linux", Arch: "amd64"}},
	{name: "asset with a password", asset: "https://user:secret@bad.example/", on: checker.Platform{OS: "linux", Arch: "arm64"}},
	{name: "notes", notes: "javascript:alert(1)//bad.example/{tag}"},
	{name: "release notes", notes: "https://user:secret@bad.example/"},
}

func TestStoredLinks(t *testing.T) {
	var log locked
	s := newServiceWith(t, serviceOptions{log: &log, fill: func(store *db.Store) {
		for i, bad := range badLinks {
			p := catalog.Product{Name: fmt.Sprintf("p%d", i), Title: "P", Repo: fmt.Sprintf("o/p%d", i), Download: bad.download}
			r := catalog.Release{Version: "v1.2.3"}
			if bad.asset != "" {
				r.Assets = map[checker.Platform]string{bad.on: bad.asset}
			}
			if bad.name == "notes" {
				p.Notes = bad.notes
			} else {
				r.Notes = bad.notes
			}
			if err := store.AddProduct(context.Background(), p); err != nil {
				t.Fatal(err)
			}
			if _, err := store.PutReleases(context.Background(), p.Name, []catalog.Release{r}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}})
	_, token := s.token(t)
	for i, bad := range badLinks {
		product := fmt.Sprintf("p%d", i)
		for _, on := range append(checker.Platforms(), checker.Other) {
			r := report(saying("1.0.0"))
			r.URL.Path = "/p/" + product + "/v1/version"
			r.Header.Set("User-Agent", checker.UserAgent(product, "1.0.0", on))
			var answer checker.Answer
			body := s.send(t, r).body
			if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.Latest.LatestRelease != "v1.2.3" {
				t.Fatalf("%s: %s, %v", bad.name, body, err)
			}
			if link := answer.Latest.Download; link != "" && printable.CheckDownload(link) != nil || on == bad.on && link != "" {
				t.Errorf("%s: %v gets the download %q", bad.name, on, link)
			}
			if link := answer.Latest.ReleaseNotes; link != "" {
				t.Errorf("%s: the notes are at %q", bad.name, link)
			}
		}
		for _, path := range []string{"/repos/o/" + product + "/releases/latest", "/api/v1/products/" + product + "/releases", "/products/" + product + "/releases"} {
			if _, body := s.read(t, path, token); strings.Contains(body, "bad.example") || !strings.Contains(body, "1.2.3") {
				t.Errorf("%s: %s answers %s", bad.name, path, body)
			}
		}
	}
	// The catalog is read again, and what was logged about it is not.
	s.put(t, "opa", catalog.Release{Version: "v9.9.9"})
	s.await(t, "/repos/open-policy-agent/opa/releases/latest", http.StatusOK)
	s.Server.Close()
	log.Lock()
	defer log.Unlock()
	for i, bad := range badLinks {
		if n := strings.Count(log.String(), fmt.Sprintf("product=p%d ", i)); n != 1 {
			t.Errorf("%s: %d lines in the log, want 1: %s", bad.name, n, log.String())
		}
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "\u202e") {
		t.Errorf("the log shows a password, or turns its text: %s", log.String())
	}
}
