package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	selfupdate "github.com/creativeprojects/go-selfupdate"
	"github.com/google/go-github/v88/github"
)

// checkGoGitHub requests everything about the releases of a repository with
// google/go-github, and checks that the answers agree. The arguments are OWNER/REPO and
// tags that must exist.
func checkGoGitHub(url, _ string, args []string) (string, error) {
	ctx := context.Background()
	owner, repo, _ := strings.Cut(args[0], "/")
	client, err := github.NewClient(github.WithURLs(&url, nil))
	if err != nil {
		return "", err
	}
	repos := client.Repositories
	latest, _, err := repos.GetLatestRelease(ctx, owner, repo)
	if err != nil {
		return "", err
	}
	for _, s := range []string{latest.GetName(), latest.GetHTMLURL(), latest.GetURL(), latest.GetAssetsURL(), latest.GetTarballURL(), latest.GetAuthor().GetLogin()} {
		if s == "" {
			return "", fmt.Errorf("latest release has an empty field: %v", latest)
		}
	}
	byID, _, err := repos.GetRelease(ctx, owner, repo, latest.GetID())
	if err != nil || byID.GetTagName() != latest.GetTagName() || latest.GetPublishedAt().IsZero() || !byID.GetPublishedAt().Equal(latest.GetPublishedAt()) {
		return "", fmt.Errorf("release %d: got %v (error %v), want %v", latest.GetID(), byID, err, latest)
	}
	for _, tag := range append(args[1:], latest.GetTagName()) {
		if r, _, err := repos.GetReleaseByTag(ctx, owner, repo, tag); err != nil || r.GetTagName() != tag {
			return "", fmt.Errorf("release %s: got %v (error %v)", tag, r, err)
		}
	}
	var listed, tags []string
	for r, err := range repos.ListReleasesIter(ctx, owner, repo, &github.ListOptions{PerPage: 2}) {
		if err != nil {
			return "", err
		}
		listed = append(listed, r.GetTagName())
	}
	for t, err := range repos.ListTagsIter(ctx, owner, repo, &github.ListOptions{PerPage: 2}) {
		if err != nil {
			return "", err
		}
		tags = append(tags, t.GetName())
	}
	if !slices.Contains(listed, latest.GetTagName()) || !slices.Equal(tags, listed) || len(listed) < 3 {
		return "", fmt.Errorf("got releases %q and tags %q, want the same and %s, on two pages", listed, tags, latest.GetTagName())
	}
	return latest.GetTagName(), checkAssets(ctx, repos, owner, repo, latest.GetID())
}

// checkAssets downloads the assets of a release and compares their checksums.
func checkAssets(ctx context.Context, repos *github.RepositoriesService, owner, repo string, release int64) error {
	assets, _, err := repos.ListReleaseAssets(ctx, owner, repo, release, nil)
	if err != nil || len(assets) == 0 {
		return fmt.Errorf("got assets %v (error %v), want some", assets, err)
	}
	for _, a := range assets {
		same, _, err := repos.GetReleaseAsset(ctx, owner, repo, a.GetID())
		if err != nil || same.GetName() != a.GetName() || same.GetUpdatedAt().IsZero() {
			return fmt.Errorf("asset %d: got %v (error %v), want %v", a.GetID(), same, err, a)
		}
		content, _, err := repos.DownloadReleaseAsset(ctx, owner, repo, a.GetID(), http.DefaultClient)
		if err != nil {
			return err
		}
		h := sha256.New()
		_, err = io.Copy(h, content)
		content.Close()
		if sum := "sha256:" + hex.EncodeToString(h.Sum(nil)); err != nil || sum != a.GetDigest() {
			return fmt.Errorf("asset %s: got %s (error %v), want %s", a.GetName(), sum, err, a.GetDigest())
		}
	}
	return nil
}

// updateSelf replaces this program with the latest release, with
// creativeprojects/go-selfupdate. The arguments are the source, github or http, and
// OWNER/REPO.
func updateSelf(url, version string, args []string) (string, error) {
	ctx := context.Background()
	var source selfupdate.Source
	var err error
	if args[0] == "github" {
		source, err = selfupdate.NewGitHubSource(selfupdate.GitHubConfig{EnterpriseBaseURL: url})
	} else {
		source, err = selfupdate.NewHttpSource(selfupdate.HttpConfig{BaseURL: url})
	}
	if err != nil {
		return "", err
	}
	updater, err := selfupdate.NewUpdater(selfupdate.Config{Source: source, Validator: &selfupdate.ChecksumValidator{UniqueFilename: "checksums.txt"}})
	if err != nil {
		return "", err
	}
	latest, found, err := updater.DetectLatest(ctx, selfupdate.ParseSlug(args[1]))
	if err != nil || !found || latest.LessOrEqual(version) {
		return "", err
	}
	program, err := selfupdate.ExecutablePath()
	if err != nil {
		return "", err
	}
	return latest.Version(), updater.UpdateTo(ctx, latest, program)
}
