package server_test

import (
	"strings"
	"testing"

	"relcheck/checker/access"
)

// TestInvalidKeys checks that errors about the body of a change name the place of the mistake,
// and the key that is probably meant.
func TestInvalidKeys(t *testing.T) {
	s := newService(t)
	_, token := s.tokenOf(t, access.Admin)
	for _, c := range []struct{ path, body, code, want string }{
		{releasePath, `{"note":"x"}`, "unknown_field", `unknown field \"note\": did you mean notes?`},
		{releasePath, `{"version":"x"}`, "unknown_field", `unknown field \"version\": use one of assets, body, checksums, date, files, notes, prerelease, title, withdrawn`},
		{releasePath, `{"files":[{"nme":"x"}]}`, "unknown_field", `unknown field \"files[0].nme\": did you mean name?`},
		{releasePath, `{"files":[{"name":"a"},{"Name":"b"}]}`, "unknown_field", `unknown field \"files[1].Name\": did you mean name?`},
		{releasePath, `{"files":[{"\u001b[31m":1}]}`, "unknown_field", `: use one of name, url, size, sha256, sha512, media_type`},
		{releasePath, `{"files":[{"name":1}]}`, "invalid_field", `; leave it out to keep its value (at \"files[0].name\")`},
		{releasePath, `{"assets":{"linux/amd64":{"url":"https://example.com"}}}`, "invalid_field", `assets must be an object such as {\"linux/amd64\": \"https://example.com/file\"}; leave it out to keep its value (at \"assets.linux/amd64\")`},
		{appPath, `{"chanels":[]}`, "unknown_field", `unknown field \"chanels\": did you mean channels?`},
		{appPath, `{"channels":[{"nam":"lts"}]}`, "unknown_field", `unknown field \"channels[0].nam\": did you mean name?`},
		{appPath, `{"channels":[{"name":"lts","range":"<2"}]}`, "unknown_field", `unknown field \"channels[0].range\": use one of name, match, prereleases`},
		{appPath, `{"channels":[null]}`, "invalid_field", `(at \"channels[0]\")`},
	} {
		got := s.edit(t, token, "PUT", c.path, c.body)
		if !strings.HasPrefix(got, "400 ") || !strings.Contains(got, `"code":"`+c.code+`"`) || !strings.Contains(got, c.want) || strings.Contains(got, `\u001b`) {
			t.Errorf("PUT %s %s: got %s, want status 400, code %s and %s", c.path, c.body, got, c.code, c.want)
		}
	}
}
