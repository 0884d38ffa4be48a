package command

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"relcheck/checker"
	"relcheck/checker/catalog"
	"relcheck/checker/download"
	"relcheck/checker/server"
	"relcheck/checker/server/dialect"
	"relcheck/checker/server/manage"
	"relcheck/checker/stats/rollup"
	"relcheck/db"
)

func dialectCommand(streams IO) *cobra.Command {
	return group("dialect", "Manage the dialects in which products answer other update clients.", `
  relcheck dialect list
  relcheck dialect test editor.dialect --product editor --as 1.2.0`,
		dialectList(streams), dialectTest(streams))
}

func dialectList(streams IO) *cobra.Command {
	var folder string
	var asJSON bool
	c := &cobra.Command{
		Use:     "list",
		Short:   "List the dialects that products can answer.",
		Long:    "List the dialects that products can answer. Every product also answers the clients of\nGitHub's API.",
		Example: "  relcheck dialect list --dialects /etc/relcheck/dialects",
		RunE: func(*cobra.Command, []string) error {
			all, errs := dialect.BuiltIn(), []error(nil)
			if folder != "" {
				all, errs = dialect.ReadFolder(folder, nil)
			}
			l := &list{name: "dialects", heads: []string{"name", "methods", "paths", "hosts", "title"}, omitted: []string{"methods", "hosts"}}
			for _, d := range server.Dialects(all) {
				l.item(d)
				l.row(d.Name, strings.Join(d.Methods, ","), strings.Join(d.Paths, " "), strings.Join(d.Hosts, " "), d.Title)
			}
			return errors.Join(append(errs, newOutput(streams, asJSON).add(l).write())...)
		},
	}
	jsonFlag(c, &asJSON)
	c.Flags().StringVar(&folder, "dialects", "", "also list the files in this `folder` (default: none)")
	return c
}

func dialectTest(streams IO) *cobra.Command {
	var product, version, platform, base string
	c := existingStoreCommand(&cobra.Command{
		Use:   "test FILE",
		Short: "Print the sample request of a dialect, and how a product answers it.",
		Long: `Print the sample request of a dialect, and how a product answers it. The product need not
list the dialect, and nothing is recorded. FILE is a file NAME.dialect.`,
		Example: `  relcheck dialect test editor.dialect --product editor --as 1.2.0 \
    --platform linux/amd64`,
	}, func(ctx context.Context, s *db.Store, args []string) error {
		if product == "" {
			return usageError("--product is missing: name the product that answers")
		}
		d, err := dialect.ReadFile(args[0])
		if err != nil {
			return err
		}
		name, _, _ := strings.Cut(product, "@")
		if _, err := s.Product(ctx, name); err != nil {
			return err
		}
		r, err := sampleRequest(d, product, version, platform)
		if err == nil && base == "" {
			base, _, err = baseURL(ctx, s)
		}
		if err != nil {
			return err
		}
		var level slog.LevelVar
		level.Set(slog.LevelError + 1) // mistakes in other files of the folder
		handler, err := server.New(ctx, testStore{Store: s, product: name, dialect: d.Name}, slog.New(slog.NewTextHandler(streams.Err, &slog.HandlerOptions{Level: &level})),
			server.Options{Base: strings.TrimRight(base, "/"), Dialects: filepath.Dir(args[0])})
		if err != nil {
			return err
		}
		level.Set(slog.LevelDebug) // why the answer is 404
		a := response{header: http.Header{}}
		printRequest(streams.Out, r)
		handler.Handler().ServeHTTP(&a, r.WithContext(ctx))
		fmt.Fprintf(streams.Out, "\nHTTP/1.1 %d %s\n", a.status, http.StatusText(a.status))
		printHeader(streams.Out, a.header)
		fmt.Fprintf(streams.Out, "\n%s", a.body.Bytes())
		if a.status != http.StatusOK && a.status != http.StatusFound {
			return exit{statusFailed, errSilent}
		}
		return nil
	})
	c.Flags().StringVar(&product, "product", "", "`product` that answers, or PRODUCT@CHANNEL")
	c.Flags().StringVar(&version, "as", "", "`version` that the client runs (default: unknown)")
	c.Flags().StringVar(&platform, "platform", "", "`platform` of the client, such as linux/amd64 (default: unknown)")
	c.Flags().StringVar(&base, "base-url", "", "`URL` at which clients reach the service (default: that of the server that has started last)")
	return c
}

// sampleRequest returns the sample request of a dialect below the path of a product. The
// path has what the dialect does not declare.
func sampleRequest(d *dialect.Dialect, product, version, platform string) (*http.Request, error) {
	name, _, _ := strings.Cut(product, "@")
	values := map[string]string{"product": name, "version": version}
	prefix := "/p/" + product
	if version != "" && !checker.ValidVersion(version) {
		return nil, usageError("--as: %q is not a version: use up to %d of 0-9 A-Z a-z . + _ and -", version, checker.MaxVersion)
	}
	var p checker.Platform
	if platform != "" {
		var err error
		if p, err = download.ParsePlatform(platform); err != nil {
			return nil, usageError("--platform: %w", err)
		}
		values["os"], values["arch"], values["platform"] = p.OS, p.Arch, p.OS+"-"+p.Arch
	}
	r, err := d.NewRequest(values)
	if err != nil {
		return nil, err
	}
	if values["version"] != "" {
		prefix += "/as/" + url.PathEscape(version)
	}
	if values["os"] != "" && values["platform"] != "" {
		prefix += "/" + p.OS + "-" + p.Arch
	}
	r.URL, err = url.Parse(prefix + r.URL.RequestURI())
	return r, err
}

func printRequest(out io.Writer, r *http.Request) {
	fmt.Fprintf(out, "%s %s HTTP/1.1\n", r.Method, r.URL.RequestURI())
	printHeader(out, r.Header)
	if r.Body != nil {
		text, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(text))
		fmt.Fprintf(out, "\n%s\n", text)
	}
}

func printHeader(out io.Writer, h http.Header) {
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fmt.Fprintf(out, "%s: %s\n", name, value)
		}
	}
}

// response is a response in memory.
type response struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (r *response) Header() http.Header    { return r.header }
func (r *response) WriteHeader(status int) { r.status = cmp.Or(r.status, status) }

func (r *response) Write(p []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(p)
}

// testStore is a store that records nothing, and whose product lists a dialect.
type testStore struct {
	*db.Store
	product, dialect string
}

func (testStore) Record(context.Context, string, checker.Platform, *checker.Report) (rollup.Day, error) {
	return 0, nil
}
func (testStore) Count(string, string, checker.Platform) {}
func (testStore) Waiting() int                           { return 0 }
func (testStore) MaxWaiting() int                        { return 1 }
func (testStore) Others() int64                          { return 0 }
func (testStore) OnCommit(func(time.Duration))           {}
func (testStore) Ready() error                           { return nil }
func (s testStore) As(who string) manage.Store           { return s.Store.As(who) }

func (s testStore) Changes(ctx context.Context, since catalog.Revision) (catalog.Changes, error) {
	c, err := s.Store.Changes(ctx, since)
	for i := range c.Products {
		if p := &c.Products[i].Product; p.Name == s.product && !slices.Contains(strings.Fields(p.Dialects), s.dialect) {
			p.Dialects = s.dialect + " " + p.Dialects
		}
	}
	return c, err
}
