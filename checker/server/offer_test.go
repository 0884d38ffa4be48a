package server_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"relcheck/checker"
	"relcheck/checker/access"
)

// publisher changes a product through the API.
type publisher struct {
	*service
	t              testing.TB
	product, token string
}

// newProduct adds a product with settings in JSON.
func (s *service) newProduct(t testing.TB, name, settings string) *publisher {
	t.Helper()
	_, token := s.tokenOf(t, access.Admin)
	p := &publisher{s, t, name, token}
	p.want("201", "PUT", "", cmp.Or(settings, "{}"))
	return p
}

func (p *publisher) path(tag string) string {
	path := "/api/v1/products/" + p.product
	if tag != "" {
		path += "/releases/" + url.PathEscape(tag)
	}
	return path
}

// want sends a request about a release, or about the product if the tag is empty. It
// returns the body of the response, whose status must be as wanted.
func (p *publisher) want(status, method, tag, body string) string {
	p.t.Helper()
	got, response, _ := strings.Cut(p.edit(p.t, p.token, method, p.path(tag), body), " ")
	if got != status {
		p.t.Fatalf("%s %s of %s: got status %s, want %s: %s", method, cmp.Or(tag, "settings"), p.product, got, status, response)
	}
	return response
}

var publishedPattern = regexp.MustCompile(`([^ {]+)(\{[^ ]*\})?`)

// publish publishes releases: tags separated by spaces, with optional JSON after a tag.
func (p *publisher) publish(releases string) {
	p.t.Helper()
	for _, m := range publishedPattern.FindAllStringSubmatch(releases, -1) {
		p.want("201", "PUT", m[1], cmp.Or(m[2], "{}"))
	}
}

// report reports a version and returns the answer. The channel is "" or "@name".
func (p *publisher) report(channel, version string, headers ...string) checker.Latest {
	p.t.Helper()
	r := report(reportBody(version))
	r.URL.Path = "/p/" + p.product + channel + "/v1/version"
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	got := p.send(p.t, r)
	var a checker.Answer
	if err := json.Unmarshal([]byte(got.body), &a); err != nil || got.StatusCode != 200 {
		p.t.Fatalf("report %s to %s: got status %d and body %s (error %v), want 200 and JSON", version, r.URL.Path, got.StatusCode, got.body, err)
	}
	return a.Latest
}

// answer describes the answer to a report: "v1.0.0,true", with "-" if there is no release.
func (p *publisher) answer(channel, version string) string {
	p.t.Helper()
	l := p.report(channel, version)
	verdict, _ := json.Marshal(l.UpToDate)
	if l.Withdrawn {
		verdict = append(verdict, ",withdrawn"...)
	}
	return cmp.Or(l.LatestRelease, "-") + "," + string(verdict)
}

// checkAnswers checks a list of reports, such as "1.0.0=v1.1.0,false" or
// "@lts:1.0.0=v1.0.0,true".
func (p *publisher) checkAnswers(reports string) {
	p.t.Helper()
	for line := range strings.FieldsSeq(reports) {
		version, want, _ := strings.Cut(line, "=")
		channel, rest, found := strings.Cut(version, ":")
		if found {
			version = rest
		} else {
			channel = ""
		}
		if got := p.answer(channel, version); got != want {
			p.t.Errorf("%s%s reports %s: got %s, want %s", p.product, channel, version, got, want)
		}
	}
}

// TestOffers publishes releases, and checks which release and verdict each client gets.
func TestOffers(t *testing.T) {
	s := newService(t)
	for i, c := range []struct{ settings, releases, reports string }{
		// Identity is the tag.
		{``, `v1.30.0+k3s1 v1.30.0+k3s2 v1.29.9+k3s7`,
			`v1.30.0+k3s1=v1.30.0+k3s2,false v1.30.0+k3s2=v1.30.0+k3s2,true 1.30.0+k3s1=v1.30.0+k3s2,false v1.30.0+k3s9=v1.30.0+k3s2,true
			 v1.30.0=v1.30.0+k3s2,true v1.29.9+k3s7=v1.30.0+k3s2,false v1.29.9+k3s8=v1.30.0+k3s2,false`},
		{``, `v1.30.0+k3s9 v1.30.0+k3s10`, `v1.30.0+k3s9=v1.30.0+k3s10,false`},
		{``, `v1.30.0 v1.30.0+k3s1`, `v1.30.0=v1.30.0+k3s1,false`},
		{``, `1.0 1.0.0`, `1.0=1.0.0,false 1.0.0=1.0.0,true 1=1.0.0,true`},
		{``, `v1.0.0+rke2r1{"withdrawn":true} v1.0.0+rke2r2`, `v1.0.0+rke2r1=v1.0.0+rke2r2,false,withdrawn v1.0.0+rke2r2=v1.0.0+rke2r2,true`},

		// Versions that are not semantic.
		{``, `2026.05.01 2026.4.30 2025.12.31`, `2026.05.01=2026.05.01,true 2026.5.1=2026.05.01,true 2026.4.30=2026.05.01,false 2026.10.01=2026.05.01,true`},
		{``, `1.2.3.4 1.2.3 1.2.3.10`, `1.2.3.4=1.2.3.10,false 1.2.3=1.2.3.10,false 1.2.3.10=1.2.3.10,true 1.2.3.11=1.2.3.10,true`},
		{``, `1.02.3 1.2.10`, `1.02.3=1.2.10,false 1.2.3=1.2.10,false`},
		{``, `1.02.3 1.2.2`, `1.2.2=1.02.3,false 1.2.3=1.02.3,true`},
		{``, `25.1 24.7.12`, `24.7.12=25.1,false 25.1=25.1,true 25.1.0=25.1,true 25.1.1=25.1,true`},
		{``, `2026-05-01 2026-04-30`, `2026-04-30=2026-05-01,false 2026-05-01=2026-05-01,true 2026-05-02=2026-05-01,true`},
		{``, `RELEASE.1 2025-09-07T16-13-09Z 2025-09-07T15-00-00Z`, `2025-09-07T15-00-00Z=2025-09-07T16-13-09Z,false`},
		{``, `1.2.0rc1 1.1.9`, `1.1.9=1.1.9,true 1.2.0rc1=1.2.0rc1,true 1.2.0rc0=1.1.9,true`},
		{``, `1.2.0rc9 1.2.0rc10`, `1.2.0rc9=1.2.0rc10,false`},
		{``, `4.2.Final 4.2 4.2.CR1 4.1.Final`, `4.1.Final=4.2.Final,false 4.2=4.2.Final,false 4.2.CR1=4.2.Final,false 4.2.Final=4.2.Final,true`},
		{``, `1.1.1w 1.1.1 1.1.1v`, `1.1.1=1.1.1w,false 1.1.1v=1.1.1w,false 1.1.1w=1.1.1w,true 1.1.1x=1.1.1w,null 1.1.1za=1.1.1w,true`},
		{``, `17.0 17_1`, `17.0=17_1,false`},
		{``, `2.1.12-stable 2.1.11-stable 2.2.1-alpha-dev`, `2.1.11-stable=2.1.12-stable,false 2.1.12-stable=2.1.12-stable,true`},
		{``, `20260501 20250101`, `20250101=20260501,false`},
		{``, `99999999999999999999.1 99999999999999999998.2`, `99999999999999999998.2=99999999999999999999.1,false`},
		{``, `1.2.x 1.2.3 9.9/1 1.2.3~beta`, `1.2.3=1.2.3,true 1.2.x=1.2.3,null`},

		// Prefixes of components.
		{`{"tag_prefixes":["cli/v"]}`, `cli/v1.2.3 cli/v1.10.0 server/v9.9.9 v8.0.0`,
			`1.2.3=cli/v1.10.0,false v1.2.3=cli/v1.10.0,false 1.10.0=cli/v1.10.0,true v1.10.0=cli/v1.10.0,true 1.11.0=cli/v1.10.0,true 1.9.0=cli/v1.10.0,false
			 v8.0.0=cli/v1.10.0,true 1.10.0-dev=cli/v1.10.0,false 1.10.0-istio=cli/v1.10.0,true`},
		{``, `v1.0.0 cli/v1.2.3 pkg@1.2.3 @scope/pkg@4.0.0`, `v1.0.0=v1.0.0,true 1.2.3=v1.0.0,true`},
		{``, `cli/v1.2.3`, `1.0.0=-,true`},
		{`{"tag_prefixes":["pkg@"]}`, `pkg@1.2.3 pkg@1.2.2 other@2.0.0`, `1.2.2=pkg@1.2.3,false 1.2.3=pkg@1.2.3,true`},
		{`{"tag_prefixes":["release-"]}`, `release-1.2 release-1.10 1.99`, `1.2=release-1.10,false release-1.2=release-1.10,false release-1.10=release-1.10,true 1.99=release-1.10,true`},
		{`{"tag_prefixes":["bun-v"]}`, `bun-v1.2.3 bun-v1.2.20 canary`, `1.2.3=bun-v1.2.20,false bun-v1.2.3=bun-v1.2.20,false bun-v1.2.20=bun-v1.2.20,true canary=bun-v1.2.20,null`},
		{`{"tag_prefixes":["a-","a-b-"]}`, `a-1.0 a-b-2.0`, `1.0=a-b-2.0,false 2.0=a-b-2.0,true`},
		{`{"tag_prefixes":["jdk-"]}`, `jdk-21.0.4+7 jdk-21.0.4+8 jdk-21.0.4+10`, `21.0.4+8=jdk-21.0.4+10,false jdk-21.0.4+10=jdk-21.0.4+10,true`},
		{`{"tag_prefixes":["cli/v"]}`, `v1.0.0 cli/v1.0.0 cli/v1.1.0`, `v1.0.0=cli/v1.1.0,false`},

		// Tags without an order, and the range of the latest release.
		{``, `nightly v1.0.0 latest-main`, `nightly=v1.0.0,null v1.0.0=v1.0.0,true`},
		{``, `nightly`, `nightly=-,null 1.0.0=-,true`},
		{`{"match":"<2000"}`, `2024.01.01 2023.12.01 1.0.0 1.1.0`, `1.0.0=1.1.0,false 1.1.0=1.1.0,true`},
		{`{"match":"~1.4, <1.4.9"}`, `1.4.9 1.4.8 1.5.0 1.3.0`, `1.4.7=1.4.8,false`},
		{`{"match":"<2"}`, `2.0.0-rc.1 1.0.0`, `1.0.0=1.0.0,true`},
		{`{"match":">3"}`, `1.0.0`, `1.0.0=-,true`},

		// The verdict about unreleased versions.
		{``, `v1.2.4 v1.2.3`, `1.2.4=v1.2.4,true v1.2.3=v1.2.4,false
			1.2.4-beta.3=v1.2.4,false 1.2.4-rc.2=v1.2.4,false 1.2.4-dev=v1.2.4,false 1.2.4-SNAPSHOT=v1.2.4,false 1.2.4-nightly.20260101=v1.2.4,false
			1.2.0-rc.1-istio=v1.2.4,false v1.2.4-0.20260201120000-abcdefabcdef+dirty=v1.2.4,false
			v1.2.5-0.20260201120000-abcdefabcdef=v1.2.4,true v0.0.0-20260201120000-abcdefabcdef=v1.2.4,false v1.2.4-rc.1.0.20260201120000-abcdefabcdef=v1.2.4,false
			1.2.4-alpha=v1.2.4,false 1.2.4-CR1=v1.2.4,false 1.2.4-preview.2=v1.2.4,false 1.2.4-canary=v1.2.4,false 1.2.4-pre=v1.2.4,false 1.2.4-M1=v1.2.4,true
			1.2.4-milestone.1=v1.2.4,false 1.2.4-ea=v1.2.4,false 1.2.4-next.0=v1.2.4,false 1.2.4-draft=v1.2.4,false 1.2.4-tp1=v1.2.4,false 1.2.4-rc1=v1.2.4,false
			1.2.4-istio=v1.2.4,true 1.2.4-fips=v1.2.4,true 1.2.4-ubi9=v1.2.4,true 1.2.4-14-gabcdef=v1.2.4,true 1.2.4-1ubuntu1=v1.2.4,true 1.2.4-b7=v1.2.4,true
			1.2.4-b7c0ffee=v1.2.4,true 1.2.4-a1=v1.2.4,true 1.2.4-c3d=v1.2.4,true 1.2.4-alphabet=v1.2.4,true 1.2.4-development=v1.2.4,true
			1.2.3-istio=v1.2.4,false 1.2.3-14-gabcdef=v1.2.4,false 1.2.5-istio=v1.2.4,true 1.2.5-dev=v1.2.4,true
			1.2.4rc1=v1.2.4,false 1.2.4b2=v1.2.4,false 1.2.4a1=v1.2.4,false 1.2.4.dev3=v1.2.4,false 1.2.4.Final=v1.2.4,true 1.2.4w=v1.2.4,true 1.2.3w=v1.2.4,false
			1.2.4+build.7=v1.2.4,true 1.2.4-rc.1+build.7=v1.2.4,false devel=v1.2.4,null unknown=v1.2.4,null 0fa3c1d=v1.2.4,null 1.2.x=v1.2.4,null`},
		{``, `v1.2.4-istio v1.2.3`, `1.2.4-istio=v1.2.4-istio,true v1.2.3=v1.2.3,true`},
		{`{"release_suffix":"[0-9]+"}`, `2021.01.24 2021.01.24-1 2021.01.24-10`, `2021.01.24=2021.01.24-10,false 2021.01.24-1=2021.01.24-10,false 2021.01.24-9=2021.01.24-10,false
			2021.01.24-11=2021.01.24-10,true 2021.01.24-istio=2021.01.24-10,false`},
		{`{"release_suffix":"rancher[0-9]+"}`, `v1.2.3 v1.2.3-rancher1 v1.2.3-rancher2 v1.2.3-rc1`, `v1.2.3=v1.2.3-rancher2,false v1.2.3-rancher2=v1.2.3-rancher2,true v1.2.3-rancher3=v1.2.3-rancher2,true`},
		{`{"release_suffix":"ce"}`, `v17.0-ce v17.1`, `v17.0-ce=v17.1,false v17.1-ce=v17.1,true v17.1=v17.1,true`},
		{`{"release_suffix":"ce","tag_prefixes":["x-"]}`, `x-17.0-ce x-17.0`, `17.0=x-17.0-ce,false 17.0-ce=x-17.0-ce,true x-17.0=x-17.0-ce,false`},

		// Withdrawn releases.
		{``, `v1.2.9 v1.3.0{"withdrawn":true}`, `v1.3.0=v1.2.9,false,withdrawn 1.3.0=v1.2.9,false,withdrawn v1.2.9=v1.2.9,true v1.3.1=v1.2.9,true
			v1.3.0-istio=v1.2.9,false,withdrawn 1.3.0+local=v1.2.9,false,withdrawn 1.3.0-dev=v1.2.9,true 1.2.9-istio=v1.2.9,true`},
		{``, `v1.0.0+k3s1{"withdrawn":true} v1.0.0+k3s2{"withdrawn":true} v0.9.0+k3s1{"withdrawn":true} v0.9.0+k3s2`,
			`v1.0.0+k3s3=v0.9.0+k3s2,false,withdrawn v1.0.0=v0.9.0+k3s2,false,withdrawn v0.9.0+k3s3=v0.9.0+k3s2,true v0.9.0-istio=v0.9.0+k3s2,true`},
		{``, `v1.2.9{"withdrawn":true} v1.3.0`, `v1.2.9=v1.3.0,false,withdrawn`},
		{``, `v1.3.0{"withdrawn":true}`, `v1.3.0=-,false,withdrawn v1.2.0=-,true`},
		{``, `v1.3.0-rc.1{"withdrawn":true} v1.3.0-rc.2 v1.2.0`, `v1.3.0-rc.1=v1.3.0-rc.2,false,withdrawn`},
		{``, `nightly{"withdrawn":true} v1.0.0`, `nightly=v1.0.0,false,withdrawn`},

		// Pre-releases.
		{``, `1.0.0 1.1.0-rc.1 1.1.0-rc.2 2.0.0-alpha.1`, `1.0.0=1.0.0,true 1.1.0-rc.1=1.1.0-rc.2,false 1.1.0-rc.2=1.1.0-rc.2,true 2.0.0-alpha.1=2.0.0-alpha.1,true 1.1.0-rc.3=1.0.0,true`},
		{``, `1.0.0 1.1.0-rc.1 1.1.0 2.0.0-alpha.1`, `1.1.0-rc.1=1.1.0,false 2.0.0-alpha.1=2.0.0-alpha.1,true 1.0.0=1.1.0,false`},
		{``, `1.0.0-rc.1 2.0.0-alpha.1`, `1.0.0-rc.1=2.0.0-alpha.1,false 0.9.0=-,true`},
		{``, `1.0.0{"prerelease":true} 0.9.0`, `0.9.0=0.9.0,true 1.0.0=1.0.0,true`},
		{``, `1.0.0-rc.1{"prerelease":false} 0.9.0`, `0.9.0=1.0.0-rc.1,false`},

		// Channels.
		{`{"channels":[{"name":"lts","match":"<2"},{"name":"preview","prereleases":true},{"name":"1.x","match":"1.x"},{"name":"none","match":">9"}]}`,
			`1.9.0 1.8.0 1.1.0 1.1.0-rc.1 2.1.0 2.0.0-alpha.1 3.0.0-beta.1 3.0.0-beta.2 0.9.0`,
			`1.8.0=2.1.0,false @lts:1.8.0=1.9.0,false @lts:1.9.0=1.9.0,true @lts:2.1.0=1.9.0,true @1.x:0.9.0=1.9.0,false @1.x:1.10.0=1.9.0,true
			 @preview:2.1.0=3.0.0-beta.2,false @preview:3.0.0-beta.1=3.0.0-beta.2,false @preview:3.0.0-beta.2=3.0.0-beta.2,true
			 @lts:1.1.0-rc.1=1.9.0,false @none:1.8.0=-,true 3.0.0-beta.1=3.0.0-beta.2,false`},
		{`{"channels":[{"name":"next","match":"","prereleases":true}]}`, `1.1.0 1.1.0-rc.1 2.0.0-alpha.1`,
			`1.1.0-rc.1=1.1.0,false 1.1.0=1.1.0,true @next:1.1.0-rc.1=2.0.0-alpha.1,false @next:1.1.0=2.0.0-alpha.1,false`},
		{`{"match":"<2","channels":[{"name":"all","match":""}],"tag_prefixes":["cli/v"]}`, `cli/v1.0.0 cli/v2.0.0`, `1.0.0=cli/v1.0.0,true @all:1.0.0=cli/v2.0.0,false`},
		{`{"channels":[{"name":"lts","match":"<2"}]}`, `1.0.0{"withdrawn":true} 0.9.0 2.0.0`, `@lts:1.0.0=0.9.0,false,withdrawn @lts:0.9.0=0.9.0,true`},
		{`{"channels":[{"name":"v","match":"^0.4"}]}`, `0.3.9 0.4.1 0.4.2-rc.1 0.5.0`, `@v:0.3.9=0.4.1,false @v:0.4.2-rc.1=0.4.2-rc.1,true`},
	} {
		p := s.newProduct(t, fmt.Sprint("app", i), c.settings)
		p.publish(c.releases)
		p.checkAnswers(c.reports)
	}
}

// TestTagIsIdentity checks that every tag is a release of its own, and that a tag that was
// not published is unknown.
func TestTagIsIdentity(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "k3s", "")
	p.publish(`v1.30.0+k3s1`)
	p.want("201", "PUT", "v1.30.0+k3s2", `{"files":[{"name":"k3s","url":"https://example.com/k3s2"}],"assets":{"darwin/amd64":"https://example.com/k3s2"}}`)
	if got := p.report("", "1.0.0"); got.LatestRelease != "v1.30.0+k3s2" || got.Download != "https://example.com/k3s2" {
		t.Errorf("got release %s at %s, want v1.30.0+k3s2 with its file", got.LatestRelease, got.Download)
	}
	for _, tag := range []string{"v1.30.0+k3s9", "v1.30.0", "1.30.0", "1.30", "v1.30.0+k3s", "v1.30.0+K3S1", "v1.30", "k3s", "v1.30.0-k3s1"} {
		for _, method := range []string{"DELETE", "GET"} {
			if body := p.want("404", method, tag, ""); !strings.Contains(body, `"code":"unknown_release"`) {
				t.Errorf("%s %s: got %s, want code unknown_release", method, tag, body)
			}
		}
	}
	p.want("204", "DELETE", "v1.30.0+k3s2", "")
	p.checkAnswers(`v1.30.0+k3s2=v1.30.0+k3s1,false,withdrawn v1.30.0+k3s1=v1.30.0+k3s1,true`)
	p.want("200", "PUT", "1.30.0+k3s2", `{"withdrawn":false}`) // without the v
	p.checkAnswers(`v1.30.0+k3s1=v1.30.0+k3s2,false`)
	for _, tag := range []string{"cli/v1.0.0", "pkg@1.0.0", "@scope/pkg@1.0.0", "1.0#2?a=b&c", "100%", "a:b", "ü", "nightly"} {
		p.want("201", "PUT", tag, `{}`)
		var got struct{ Version string }
		if err := json.Unmarshal([]byte(p.want("200", "GET", tag, "")), &got); err != nil || got.Version != tag {
			t.Errorf("GET %s: got version %q (error %v), want the tag", tag, got.Version, err)
		}
		p.want("204", "DELETE", tag, "")
	}
	if got, want := p.tags(), "v1.30.0+k3s2 v1.30.0+k3s1"; !strings.HasPrefix(got, want+" ") || len(strings.Fields(got)) != 10 {
		t.Errorf("got releases %s, want %s and 8 without an order", got, want)
	}
}

// tags returns the tags of the product in the order of the API.
func (p *publisher) tags() string {
	p.t.Helper()
	var list struct{ Releases []struct{ Version string } }
	body := strings.TrimPrefix(p.edit(p.t, p.token, "GET", p.path("")+"/releases", ""), "200 ")
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		p.t.Fatalf("list releases: got %s (error %v)", body, err)
	}
	var tags []string
	for _, r := range list.Releases {
		tags = append(tags, r.Version)
	}
	return strings.Join(tags, " ")
}

// TestSpellingsOfOneVersion checks releases whose tags differ only in the leading v, which
// an upstream can list.
func TestSpellingsOfOneVersion(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", "")
	s.putNow(t, "app", releases(`1.0.0 v1.0.0 v0.9.0`)...)
	p.want("200", "PUT", "v1.0.0", `{"withdrawn":true}`)
	p.checkAnswers(`v1.0.0=1.0.0,false,withdrawn 1.0.0=1.0.0,true v0.9.0=1.0.0,false`)
	p.want("200", "PUT", "1.0.0", `{"withdrawn":true}`)
	p.want("200", "PUT", "v1.0.0", `{"withdrawn":false}`)
	p.checkAnswers(`v1.0.0=v1.0.0,true 1.0.0=v1.0.0,false,withdrawn`)
}

// TestUnorderedTag checks that a release without an order is kept and served by its tag,
// but is never the latest one.
func TestUnorderedTag(t *testing.T) {
	s := newService(t)
	for _, tag := range []string{"nightly", "latest", "edge-2026", "1.2.x", "v1.2.x", "stable", "main", "release", "abc123", "1..2", "1.0-", "1.0+"} {
		p := s.newProduct(t, "app-"+fmt.Sprintf("%x", tag), "")
		p.want("201", "PUT", tag, `{"files":[{"name":"app_linux_amd64","url":"https://example.com/app"}]}`)
		var got struct {
			Version string
			Latest  bool
			Assets  map[string]string
		}
		body := p.want("200", "GET", tag, "")
		if err := json.Unmarshal([]byte(body), &got); err != nil || got.Version != tag || got.Latest || got.Assets["linux/amd64"] != "https://example.com/app" {
			t.Errorf("GET %s: got %s (error %v), want the release with its file, not latest", tag, body, err)
		}
		p.checkAnswers(`0.0.1=-,true`)
		p.publish("v0.0.1")
		p.checkAnswers(`0.0.1=v0.0.1,true`)
	}
}

// TestOnlyPrereleases checks that the answers name the pre-releases if there is no release.
func TestOnlyPrereleases(t *testing.T) {
	s := newService(t)
	_, token := s.token(t)
	for i, c := range []struct{ settings, releases, want string }{
		{``, ``, "no release can be offered yet"},
		{``, `1.0.0-rc.1 0.9.0-beta`, "only pre-releases of this product are known, such as 1.0.0-rc.1"},
		{``, `1.0.0{"prerelease":true}`, "only pre-releases of this product are known, such as 1.0.0"},
		{``, `1.0.0-rc.1{"withdrawn":true}`, "no release can be offered yet"},
		{``, `nightly`, "no release can be offered yet"},
		{`{"match":"<1"}`, `1.0.0-rc.1`, "no release can be offered yet"},
	} {
		p := s.newProduct(t, fmt.Sprint("app", i), c.settings)
		p.publish(c.releases)
		got := s.send(t, httptest.NewRequest("GET", "/p/"+p.product+"/repos/me/app/releases/latest", nil))
		if got.StatusCode != 404 || !strings.Contains(got.body, c.want) {
			t.Errorf("%s: got status %d and body %s, want 404 and %q", c.releases, got.StatusCode, got.body, c.want)
		}
		if strings.Contains(c.want, "only") {
			for _, path := range []string{"/products/" + p.product, "/products/" + p.product + "/releases", "/"} {
				if _, body := s.read(t, path, token, "Accept", "text/html"); !strings.Contains(body, "pre-release") {
					t.Errorf("page %s with %s: got no word about pre-releases", path, c.releases)
				}
			}
		}
	}
}

func TestChannelErrors(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", `{"repo":"me/app","channels":[{"name":"lts","match":"<2"}]}`)
	p.publish(`1.0.0{"notes":"https://example.com/1"} 2.0.0`)
	for path, want := range map[string]string{
		"/p/app/repos/me/app/releases/latest":       `200 "tag_name":"2.0.0"`,
		"/p/app@lts/repos/me/app/releases/latest":   `200 "tag_name":"1.0.0"`,
		"/p/app@lts/repos/any/fork/releases/latest": `200 "tag_name":"1.0.0"`,
		"/p/app@old/repos/me/app/releases/latest":   `404 unknown_channel`,
		"/p/app@/repos/me/app/releases/latest":      `404 unknown_channel`,
		"/p/app@LTS/repos/me/app/releases/latest":   `404 unknown_channel`,
		"/p/none@lts/repos/me/app/releases/latest":  `404 unknown_product`,
		"/p/app@lts@x/repos/me/app/releases/latest": `404 unknown_channel`,
		"/p/opa@lts/repos/me/app/releases/latest":   `404 unknown_channel`,
		"/p/@lts/repos/me/app/releases/latest":      `404 unknown_product`,
	} {
		got := s.send(t, httptest.NewRequest("GET", path, nil))
		status, text, _ := strings.Cut(want, " ")
		if fmt.Sprint(got.StatusCode) != status || !strings.Contains(got.body, text) {
			t.Errorf("GET %s: got status %d and body %s, want %s", path, got.StatusCode, got.body, want)
		}
		if got.StatusCode == 404 && !strings.Contains(got.body, `"message":"Not Found"`) {
			t.Errorf("GET %s: got body %s, want GitHub's format too", path, got.body)
		}
		if !strings.HasPrefix(want, "404") {
			continue
		}
		r := report(reportBody("1.0.0"))
		r.URL.Path, _, _ = strings.Cut(path, "/repos/")
		r.URL.Path += "/v1/version"
		if got := s.send(t, r); got.StatusCode != 404 || !strings.Contains(got.body, text) {
			t.Errorf("POST %s: got status %d and body %s, want %s", r.URL.Path, got.StatusCode, got.body, want)
		}
	}
	p.checkAnswers(`@lts:1.0.0=1.0.0,true`)
	if n := len(s.reports(t, "app")); n != 1 {
		t.Errorf("got %d recorded reports of the product, want the one to its channel", n)
	}
	p.want("200", "PUT", "", `{"channels":[{"name":"old","match":"<3"}]}`) // replaces the channels
	p.checkAnswers(`@old:1.0.0=2.0.0,false`)
	if got := failureOf(s.edit(t, p.token, "GET", "/p/app@lts/repos/me/app/releases/latest", "")); !strings.HasPrefix(got, "404 ") {
		t.Errorf("removed channel: got %s, want 404", got)
	}
}

// clock is a clock that a test sets.
type clock struct {
	s   *service
	now time.Time
}

// set sets the clock to a time after the start.
func (c *clock) set(t testing.TB, after time.Duration) {
	t.Helper()
	now := c.now.Add(after)
	if err := c.s.handler.SetClock(context.Background(), func() time.Time { return now }); err != nil {
		t.Fatal(err)
	}
}

// TestOfferByTime checks which release is offered as time passes. Each step is a time after
// the start, with the answer from that time on.
func TestOfferByTime(t *testing.T) {
	s := newService(t)
	c := &clock{s, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	const files = `"files":[{"name":"app_linux_amd64","url":"https://e.com/l"},{"name":"app_darwin_arm64","url":"https://e.com/d"}]`
	const linux = `"files":[{"name":"app_linux_amd64","url":"https://e.com/l"}]`
	for i, test := range []struct {
		settings, releases string
		steps              []string // "duration version=latest,verdict"
	}{
		// A date in the future.
		{``, `v1.0.0 v1.1.0{"date":"2026-06-02"}`, []string{"0h v1.0.0=v1.0.0,true v1.1.0=v1.0.0,true", "23h59m59s v1.0.0=v1.0.0,true", "24h v1.0.0=v1.1.0,false v1.1.0=v1.1.0,true"}},
		{``, `v1.0.0{"date":"2026-06-01"} v1.1.0{"date":"2026-06-01T00:00:01Z"}`, []string{"0s v1.0.0=v1.0.0,true", "1s v1.0.0=v1.1.0,false"}},
		{``, `v1.0.0 v1.1.0{"date":"2026-06-02"} v1.2.0{"date":"2026-06-03"}`, []string{"0h v1.0.0=v1.0.0,true", "25h v1.0.0=v1.1.0,false", "49h v1.1.0=v1.2.0,false"}},
		{``, `v1.0.0 v1.1.0{"date":"2026-06-02"} v1.2.0{"date":"2026-06-03"}`, []string{"49h v1.0.0=v1.2.0,false"}},
		{``, `v1.0.0 v1.1.0{"date":"9999-12-31T23:59:59Z"}`, []string{"0h v1.0.0=v1.0.0,true", "87600h v1.0.0=v1.0.0,true"}},
		{``, `v1.1.0{"date":"2026-06-02"}`, []string{"0h v1.0.0=-,true", "24h v1.0.0=v1.1.0,false"}},
		{``, `v1.0.0 v1.1.0-rc.1 v1.1.0-rc.2{"date":"2026-06-02"}`, []string{"0h v1.1.0-rc.1=v1.1.0-rc.1,true", "24h v1.1.0-rc.1=v1.1.0-rc.2,false v1.0.0=v1.0.0,true"}},
		{`{"channels":[{"name":"lts","match":"<2"}]}`, `v1.0.0 v1.1.0{"date":"2026-06-02"} v2.0.0`, []string{"0h @lts:v1.0.0=v1.0.0,true", "24h @lts:v1.0.0=v1.1.0,false"}},
		// The minimum age.
		{`{"min_age":"24h"}`, `v1.0.0{"date":"2026-05-01"} v1.1.0{"date":"2026-06-01"}`, []string{"0h v1.0.0=v1.0.0,true", "23h59m59s v1.0.0=v1.0.0,true", "24h v1.0.0=v1.1.0,false"}},
		{`{"min_age":"24h"}`, `v1.0.0 v1.1.0`, []string{"0h v1.0.0=v1.1.0,false"}}, // dates are not known
		{`{"min_age":"24h"}`, `v1.0.0{"date":"2026-06-01"}`, []string{"0h v1.0.0=-,true", "24h v1.0.0=v1.0.0,true"}},
		{`{"min_age":"1h30m"}`, `v1.0.0 v1.1.0{"date":"2026-06-02"}`, []string{"25h29m v1.0.0=v1.0.0,true", "25h30m v1.0.0=v1.1.0,false"}},
		{`{"min_age":"24h"}`, `v1.0.0 v1.1.0{"date":"2026-06-01","withdrawn":true}`, []string{"0h v1.1.0=v1.0.0,false,withdrawn", "24h v1.1.0=v1.0.0,false,withdrawn"}},
		// A file for each platform.
		{`{"require_files":true}`, `v1.0.0{"date":"2026-05-01",` + files + `} v1.1.0{"date":"2026-06-01",` + linux + `}`, []string{"0h v1.0.0=v1.0.0,true", "23h59m59s v1.0.0=v1.0.0,true", "24h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.0.0{"date":"2026-05-01",` + linux + `} v1.1.0{"date":"2026-06-01",` + files + `}`, []string{"0h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.0.0{` + files + `} v1.1.0{"date":"2026-06-01"}`, []string{"0h v1.0.0=v1.0.0,true", "24h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.0.0{"date":"2026-05-01"} v1.1.0{"date":"2026-06-01"}`, []string{"0h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.1.0{"date":"2026-06-01"}`, []string{"0h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.0.0{` + files + `} v1.1.0`, []string{"0h v1.0.0=v1.1.0,false"}}, // no date is known
		{`{"require_files":true}`, `v0.9.0{` + linux + `} v1.0.0{"withdrawn":true,` + files + `} v1.1.0{"date":"2026-06-01",` + linux + `}`, []string{"0h v0.9.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.0.0{` + linux + `} v1.1.0-rc.1{` + files + `} v1.1.0{"date":"2026-06-01",` + linux + `}`, []string{"0h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.0.0{` + files + `} v1.1.0-rc.1{` + files + `} v1.1.0-rc.2{"date":"2026-06-01",` + linux + `}`, []string{"0h v1.1.0-rc.1=v1.1.0-rc.1,true", "24h v1.1.0-rc.1=v1.1.0-rc.2,false"}},
		// The release before is one that the same clients can be offered.
		{`{"require_files":true,"match":">=2"}`, `v1.0.0{` + files + `} v2.0.0{"date":"2026-06-01",` + linux + `}`, []string{"0h v1.0.0=v2.0.0,false"}},
		{`{"require_files":true,"channels":[{"name":"new","match":">=2"}]}`, `v1.0.0{` + files + `} v2.0.0{"date":"2026-06-01",` + linux + `}`, []string{"0h v1.0.0=v1.0.0,true @new:v1.0.0=v2.0.0,false"}},
		{`{"require_files":true,"channels":[{"name":"preview","match":"","prereleases":true}]}`, `v1.0.0{` + linux + `} v1.1.0-rc.1{` + files + `} v1.1.0{"date":"2026-06-01",` + linux + `}`, []string{"0h v1.0.0=v1.1.0,false @preview:v1.0.0=v1.1.0-rc.1,false"}},
		{`{"require_files":true,"min_age":"12h"}`, `v1.0.0{` + files + `} v1.1.0{"date":"2026-06-01",` + linux + `}`, []string{"12h v1.0.0=v1.0.0,true", "24h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true,"min_age":"48h"}`, `v1.0.0{` + files + `} v1.1.0{"date":"2026-06-01",` + linux + `}`, []string{"24h v1.0.0=v1.0.0,true", "47h v1.0.0=v1.0.0,true", "48h v1.0.0=v1.1.0,false"}},
		{`{"require_files":true}`, `v1.0.0{"assets":{"linux/amd64":"https://e.com/a"}} v1.1.0{"date":"2026-06-01",` + linux + `}`, []string{"0h v1.0.0=v1.1.0,false"}},
	} {
		c.set(t, 0)
		p := s.newProduct(t, fmt.Sprint("app", i), test.settings)
		p.publish(test.releases)
		for _, step := range test.steps {
			after, reports, _ := strings.Cut(step, " ")
			d, err := time.ParseDuration(after)
			if err != nil {
				t.Fatal(err)
			}
			c.set(t, d)
			t.Run(fmt.Sprintf("%d after %s", i, after), func(t *testing.T) {
				p.t = t
				p.checkAnswers(reports)
			})
		}
	}
}

// TestMissingFileArrives checks that a release that is held back is offered as soon as it
// has its files.
func TestMissingFileArrives(t *testing.T) {
	s := newService(t)
	(&clock{s, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}).set(t, time.Hour)
	p := s.newProduct(t, "app", `{"require_files":true}`)
	p.publish(`v1.0.0{"files":[{"name":"app_linux_amd64","url":"https://e.com/l"},{"name":"app_darwin_amd64","url":"https://e.com/d"}]} v1.1.0{"date":"2026-06-01"}`)
	p.checkAnswers(`v1.0.0=v1.0.0,true`)
	p.want("200", "PUT", "v1.1.0", `{"files":[{"name":"app_linux_amd64","url":"https://e.com/l1"}]}`)
	p.checkAnswers(`v1.0.0=v1.0.0,true`)
	p.want("200", "PUT", "v1.1.0", `{"files":[{"name":"app_darwin_amd64","url":"https://e.com/d1"}]}`)
	p.checkAnswers(`v1.0.0=v1.1.0,false`)
	if got := p.report("", "v1.0.0").Download; got != "https://e.com/d1" {
		t.Errorf("got download %s, want https://e.com/d1", got)
	}
	p.want("200", "PUT", "v1.1.0", `{"assets":{"linux/amd64":null}}`)
	p.checkAnswers(`v1.0.0=v1.0.0,true`)
	p.want("200", "PUT", "", `{"require_files":false}`)
	p.checkAnswers(`v1.0.0=v1.1.0,false`)
}

// TestFutureReleaseIsOfferedInTime checks that a running server offers a release when its
// time comes, without another change.
func TestFutureReleaseIsOfferedInTime(t *testing.T) {
	s := newService(t)
	p := s.newProduct(t, "app", "")
	at := time.Now().Add(2 * time.Second).Truncate(time.Second)
	p.publish(`v1.0.0 v1.1.0{"date":"` + at.UTC().Format(time.RFC3339) + `"}`)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		before := time.Now()
		got := p.answer("", "v1.0.0")
		if got == "v1.1.0,false" {
			if time.Now().Before(at) {
				t.Errorf("got %s before the time, want v1.0.0", got)
			}
			break
		}
		if got != "v1.0.0,true" || before.After(deadline) {
			t.Fatalf("got %s, want v1.0.0 until %v and v1.1.0 from then on", got, at)
		}
	}
}
