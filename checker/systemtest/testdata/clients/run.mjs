// Runs the released code with which another program looks for updates, once. Prints the
// version that this code announces or installs, or nothing.
//
//   node run.mjs NAME URL VERSION [ARGUMENTS]
//
// URL is what the client is configured with, and VERSION the version that it runs. The
// arguments of each client are at its function.
import fs from 'node:fs'
import http from 'node:http'
import https from 'node:https'
import { createRequire } from 'node:module'
import path from 'node:path'

const require = createRequire(import.meta.url)
const [name, url, version, ...args] = process.argv.slice(2)

const clients = {
  // Requests everything about the releases of OWNER/REPO.
  async octokit (repository) {
    const { Octokit } = await import('@octokit/rest')
    const [owner, repo] = repository.split('/')
    const octokit = new Octokit({ baseUrl: url })
    const { repos } = octokit.rest
    const { data: latest } = await repos.getLatestRelease({ owner, repo })
    const all = await octokit.paginate(repos.listReleases, { owner, repo, per_page: 2 })
    if (all.length < 3 || !all.some(r => r.id === latest.id)) {
      throw new Error(`got ${all.length} releases, want ${latest.tag_name} and others`)
    }
    for (const asset of latest.assets) {
      const { data } = await repos.getReleaseAsset({ owner, repo, asset_id: asset.id, headers: { accept: 'application/octet-stream' } })
      const { length } = Buffer.from(data)
      if (length !== asset.size) throw new Error(`asset ${asset.name}: got ${length} bytes, want ${asset.size}`)
    }
    return latest.tag_name
  },

  // Looks up a PACKAGE in the registry of .npmrc.
  async 'latest-version' (name) {
    return (await import('latest-version')).default(name)
  },

  // Requests the manifest twice, a day apart, and keeps its state in FILE. The second
  // answer must be 304. Prints what mongosh greets with on standard error.
  async mongosh (file) {
    const { UpdateNotificationManager } = require('@mongosh/cli-repl/lib/update-notification-manager.js')
    let status
    const manager = new UpdateNotificationManager({
      fetch: async (...request) => {
        const response = await fetch(...request)
        status = response.status
        return response
      }
    })
    for (let day = 0; day < 2; day++) {
      if (fs.existsSync(file)) {
        fs.writeFileSync(file, JSON.stringify({ ...JSON.parse(fs.readFileSync(file)), lastChecked: 0 }))
      }
      await manager.fetchUpdateMetadata(url, file, version)
    }
    if (status !== 304) throw new Error(`got status ${status} for an unchanged manifest, want 304`)
    for (const chunk of await manager.getGreetingCTAForCurrentVersion() ?? []) console.error(chunk.text)
    return manager.getLatestVersionIfMoreRecent(version)
  },

  // Updates the program $APPIMAGE. FOLDER holds app-update.yml and what the app keeps.
  async electron (folder) {
    const { AppImageUpdater } = require('electron-updater/out/AppImageUpdater.js')
    const { ElectronHttpExecutor } = require('electron-updater/out/electronHttpExecutor.js')
    let quit
    const updater = new AppImageUpdater(null, {
      name: 'app',
      version,
      isPackaged: true,
      appUpdateConfigPath: path.join(folder, 'app-update.yml'),
      userDataPath: folder,
      baseCachePath: folder,
      whenReady: async () => {},
      onQuit: handler => { quit = handler }
    })
    updater.logger = { debug () {}, info () {}, warn: console.error, error: console.error }
    updater.autoDownload = false
    updater.disableDifferentialDownload = true
    updater.httpExecutor = new class extends ElectronHttpExecutor { // without Electron's network
      createRequest (options, answered) {
        return (options.protocol === 'http:' ? http : https).request(options, answered)
      }
    }()
    const check = await updater.checkForUpdates()
    if (!check.isUpdateAvailable) return
    await updater.downloadUpdate()
    quit(0) // installs
    return check.updateInfo.version
  }
}

const announced = await clients[name](...args)
if (announced) console.log(announced)
process.exit() // connections may be open
