package version

import "testing"

func TestReported(t *testing.T) {
	s := scheme(t, "cli/v bun-v", "[0-9]+")
	for _, version := range []string{"cli/v1.2.3", "bun-v1.2.3", "v1.2.3", "1.2.3"} {
		if got := s.Reported(version).WithoutVendor(); got.Compare(Scheme{}.Parse("1.2.3")) != 0 || !got.Ordered() {
			t.Errorf("%s is not read as 1.2.3", version)
		}
	}
	for version, want := range map[string]int{"1.2.3-istio": 0, "1.2.3-1": 1, "1.2.3rc1-istio": -1, "1.2.3-rc.1": -1} {
		if got := s.Reported(version).WithoutVendor().Compare(s.Parse("cli/v1.2.3")); got != want {
			t.Errorf("%s compares to cli/v1.2.3 as %d, want %d", version, got, want)
		}
	}
	if v := s.Reported("cmd/v1.2.3"); v.Ordered() {
		t.Error("cmd/v1.2.3 of another component is ordered")
	}
	for text, want := range map[string]bool{
		"0fa3c1d": false, "9fa3c1d-dirty": false, "00e4f60c1b0e4a4f0c2f4f9a4b6e8d0c2a4b6e8d": false, // commits
		"20260501": true, "1234567": true, "2024a": true, "1.2.3a": true, "1a2b3c": true, "0FA3C1D": true, "2024abcd-1": true,
	} {
		if got := (Scheme{}).Reported(text).Ordered(); got != want {
			t.Errorf("%s is ordered: got %t, want %t", text, got, want)
		}
	}
	if a, b := (Scheme{}).Parse("1.2.4rc1-istio").WithoutVendor(), (Scheme{}).Parse("1.2.4rc1"); a.Compare(b) != 0 {
		t.Error("1.2.4rc1-istio and 1.2.4rc1 differ without the vendor's suffix")
	}
}

func TestLine(t *testing.T) {
	for _, c := range []struct{ prefixes, tag, want string }{
		{"", "v1.2.3", "1.2"}, {"", "1.2", "1.2"}, {"", "1.2.3.4", "1.2"}, {"", "v1.30.0+k3s1", "1.30"}, {"", "1.2rc1", "1.2"}, {"", "4.2.Final", "4.2"},
		{"", "2026.05.01", "2026.05"}, {"", "2026-05-01", "2026-05"}, {"", "2026-05-01T01-02-03Z", "2026-05"}, {"", "25.1", "25.1"}, {"", "25", "25"}, {"", "25-1", "25"},
		{"", "v0.0.0", "0.0"}, {"curl-", "curl-7_42_0", "7.42"}, {"cli/v", "cli/v1.2.3", "1.2"}, {"cli/", "cli/v1.2.3", "1.2"}, {"", "nightly", ""}, {"", "1.2.x", ""},
	} {
		s := scheme(t, c.prefixes, "")
		v := s.Parse(c.tag)
		if got := v.Line(); got != c.want {
			t.Errorf("%s: got line %q, want %q", c.tag, got, c.want)
		}
		if line, ok := s.ParseLine(c.want); ok != (c.want != "") || ok && line.CompareLine(v) != 0 {
			t.Errorf("%s: line %q: got %v, want a line that contains the tag", c.tag, c.want, ok)
		}
	}
	for _, text := range []string{"1.2.3", "1.2-rc.1", "1.2rc1", "1.2+x", "2026-05-01", "2026-5", "nightly", "", "v", "a/1.2"} {
		if _, ok := (Scheme{}).ParseLine(text); ok {
			t.Errorf("%q is a line, want not", text)
		}
	}
	for _, c := range []struct {
		a, b string
		want int
	}{{"1.2.3", "v1.2", 0}, {"1.2.3", "1.10", -1}, {"2.0", "1.9", 1}, {"25", "25.0.1", 0}, {"2026.5", "2026.05.01", 0}, {"1.2", "nightly", 1}, {"x", "y", 0}} {
		if got := (Scheme{}).Parse(c.a).CompareLine((Scheme{}).Parse(c.b)); got != c.want {
			t.Errorf("lines of %s and %s compare as %d, want %d", c.a, c.b, got, c.want)
		}
	}
}
