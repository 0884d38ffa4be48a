package command

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"relcheck/checker"
)

func TestPrintLatest(t *testing.T) {
	yes, no := true, false
	for _, test := range []struct {
		latest checker.Latest
		want   string
	}{
		{checker.Latest{}, "The service offers no release of app to v1.3.0.\n"},
		{checker.Latest{Withdrawn: true, UpToDate: &no}, "app v1.3.0 was withdrawn, and no other release is offered.\n"},
		{checker.Latest{LatestRelease: "v1.2.9", UpToDate: &yes}, "app v1.3.0 is up to date.\n"},
		{checker.Latest{LatestRelease: "v1.2.9", Withdrawn: true, UpToDate: &no, Download: "https://example.com/app"},
			"app v1.3.0 was withdrawn; the latest release is v1.2.9.\nLatest Upstream Version: 1.2.9\nDownload: https://example.com/app\n"},
		{checker.Latest{LatestRelease: "v1.4.0", UpToDate: &no}, "Latest Upstream Version: 1.4.0\n"},
		{checker.Latest{LatestRelease: "v1.2.9"}, "Latest Upstream Version: 1.2.9\n"},
	} {
		var out strings.Builder
		if err := printLatest(&out, "app", "v1.3.0", test.latest); err != nil || out.String() != test.want {
			t.Errorf("%+v: got %q, %v, want %q", test.latest, out.String(), err, test.want)
		}
	}
}

func TestUnknownCA(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	_, err := (&checker.Client{Product: "app", Version: "v1.3.0", URL: s.URL}).Check(context.Background())
	if err = requestError(err, "app", false); err == nil || !strings.Contains(err.Error(), "set SSL_CERT_FILE to a file with that CA") {
		t.Errorf("got error %v, want how to trust the CA", err)
	}
}
