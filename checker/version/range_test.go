package version

import (
	"strings"
	"testing"
)

func TestRange(t *testing.T) {
	for _, c := range []struct{ text, in, out string }{
		{"", "1 nightly 2.0.0-rc.1", ""},
		{"<2", "1.9.9 0.1 1.9.9-rc.1", "2 2.0.0-rc.1 2.0.1 nightly"},
		{"<2000", "1.0.0 26.1", "2024.01.01 2000"},
		{"<=1.4", "1.4 1.4.9 1.3", "1.5 2"},
		{">1.4", "1.5 2", "1.4 1.4.9 1.3"},
		{">=1.4", "1.4 1.4.0-rc1 1.5", "1.3.9"},
		{">=2.0.0-rc.2", "2.0.0-rc.2 2.0.0-rc.10 2.0.0 3", "2.0.0-rc.1 1.9"},
		{"<2.0.0-rc.2", "2.0.0-rc.1 1.9", "2.0.0-rc.2 2.0.0"},
		{"=1.4", "1.4 1.4.9 v1.4.0+k3s1", "1.5 1.3"},
		{"=1.4.2", "1.4.2 1.4.2.1", "1.4.3 1.4"},
		{"1.x", "1.0 1.9.9", "2.0 0.9"},
		{"v1.4.x", "1.4.0 1.4.10", "1.5.0 1.3"},
		{"~1.4", "1.4.0 1.4.9", "1.5 1.3 2.4"},
		{"~1.4.2", "1.4.2 1.4.9", "1.4.1 1.5"},
		{"~1", "1.0 1.9", "2 0.9"},
		{"^1.4", "1.4 1.9.9", "2.0 1.3"},
		{"^0.4", "0.4 0.4.9", "0.5 1.0 0.3"},
		{"^0.0.3", "0.0.3", "0.0.4 0.1 0.0.2"},
		{"^0.0", "0.0.1 0.0", "0.1"},
		{">=1.2, <1.5, ", "", ""},
		{">=1.2,<1.5", "1.2 1.4.9", "1.5 1.1"},
		{" >= 1.2 , < 2 ", "1.2 1.9", "2"},
		{"<20", "19.9", "20.1 2026.01.01"},
	} {
		r, err := Scheme{}.ParseRange(c.text)
		if strings.HasSuffix(c.text, ", ") {
			if err == nil {
				t.Errorf("%q: no error", c.text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", c.text, err)
			continue
		}
		for _, tag := range strings.Fields(c.in) {
			if !r.Contains((Scheme{}).Parse(tag)) {
				t.Errorf("%q does not contain %s, want it", c.text, tag)
			}
		}
		for _, tag := range strings.Fields(c.out) {
			if r.Contains((Scheme{}).Parse(tag)) {
				t.Errorf("%q contains %s, want not", c.text, tag)
			}
		}
	}
	s := scheme(t, "", "[0-9]+")
	for text, want := range map[string]bool{">=1.2-2": false, "<=1.2-1": true, "=1.2-1": true, ">1.2-0": true, ">1.2": false} {
		if r, err := s.ParseRange(text); err != nil || r.Contains(s.Parse("1.2-1")) != want {
			t.Errorf("with a release suffix, %q contains 1.2-1: %v (error %v), want %v", text, !want, err, want)
		}
	}
	for text, want := range map[string]bool{
		">2,<1": true, ">=1.2,<1.2": true, ">1.2,=1.2": true, ">1.2,<=1.2": true, "<0": true, "~1.4,>=1.5": true, "^1,<1": true, "1.x,2.x": true, "<2,>=2.0.0-rc.1": true,
		">=2.0.0-rc.2,<2.0.0-rc.2": true, ">1.4.2,<1.4.3": true, ">19,<20": true,
		"": false, "<1": false, "<=0": false, ">0": false, ">1.2,<1.4": false, ">=1.2,<1.2.1": false, "=1.4,>1.4.5": false, "=1.4,=1.4.2": false, "~1.4,^1.2": false, ">=1.2,<=1.2": false,
		"<0.0.0-rc1": false, ">=1.2,<1.2-rc.1": false, ">2.0.0-rc.2,<2.0.0-rc.3": false, ">1.2rc1,>1.2rc1": false, ">=1.2rc1,<1.2": true, ">99999999999999999999,<100000000000000000001": false,
	} {
		if r, err := (Scheme{}).ParseRange(text); err != nil || r.Empty() != want {
			t.Errorf("%q is empty: got %t (error %v), want %t", text, r.Empty(), err, want)
		}
	}
	for _, text := range []string{"1.4", "<", "<x", "x", "<<2", "<2,", ",", "<2 >1", "!=2", "<nightly", "=1.x"} {
		if r, err := (Scheme{}).ParseRange(text); err == nil {
			t.Errorf("ParseRange(%q) = %v, want an error", text, r)
		}
	}
}
