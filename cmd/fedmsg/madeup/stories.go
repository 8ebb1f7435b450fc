package madeup

import (
	"fmt"
	"time"
)

// change is a commit to a package, its build and what comes of it.
func (w *World) change(at time.Time, ago int) *story {
	s, who, pkg := w.begin(at), w.who(ago), w.often(packages)
	b := branches[w.rng.IntN(len(branches))]
	version := fmt.Sprintf("%d.%d", 1+w.rng.IntN(9), w.rng.IntN(20))
	release := fmt.Sprintf("%d.%s", 1+w.rng.IntN(4), b.dist)
	summary := pick(w, "Update to "+version, "New upstream release "+version, "Fix the build on s390x", "Drop a patch that upstream took", "Rebuild for a new soname",
		"Do not start as root", "Package the manual", "Backport a fix for a crash on exit", "Use the system's copy of zlib")
	s.say(0, "git.receive", body{"commit": body{
		"username": who, "name": who, "email": who + "@example.org", "repo": pkg, "namespace": "rpms", "branch": b.name, "rev": w.hash(), "summary": summary, "message": summary + "\n",
		"stats": body{"files": body{pkg + ".spec": body{"additions": 2 + w.rng.IntN(9), "deletions": 1 + w.rng.IntN(4), "lines": 3 + w.rng.IntN(13)}}, "total": body{"files": 1, "lines": 3}},
	}})
	if w.chance(15) {
		return s
	}
	if !s.build(who, pkg, version, release, b.name, 90) {
		if w.chance(60) {
			s.build(who, pkg, version, release, b.name, 95)
		}
		return s
	}
	if b.name == "rawhide" {
		return s
	}
	nvr := pkg + "-" + version + "-" + release
	update := func(status string, request any) body {
		return body{"alias": fmt.Sprintf("FEDORA-2026-%010x", w.number*48271%(1<<40)), "title": nvr, "builds": []body{{"nvr": nvr, "type": "rpm"}}, "user": body{"name": who},
			"release": body{"name": b.release, "long_name": b.long}, "status": status, "request": request, "notes": summary}
	}
	s.say(20*time.Minute, "bodhi.update.request.testing", body{"agent": who, "update": update("pending", "testing")})
	satisfied := w.chance(85)
	s.say(40*time.Minute, "greenwave.decision.update", body{"policies_satisfied": satisfied, "decision_context": "bodhi_update_push_stable", "product_version": "fedora-" + b.dist[2:],
		"subject_type": "koji_build", "subject_identifier": nvr, "subject": []body{{"type": "koji_build", "item": nvr}}, "summary": pick(w, "All required tests passed", "1 of 3 required tests is missing")})
	good := 0
	for range w.rng.IntN(5) {
		karma := pick(w, 1, 1, 1, 0, -1)
		text := map[int][]string{
			1:  {"Works for me.", "No regressions seen.", "Fixes the crash that I saw.", "LGTM on two laptops.", "Installed on our build machines, all fine."},
			0:  {"Does this need a new selinux policy?", "Which bug does this fix?", "Thanks for the quick update!"},
			-1: {"Breaks my screen lock.", "Crashes when I open a second window.", "Cannot be installed: nothing provides libfoo.so.3"},
		}[karma]
		good += karma
		tester := w.who(ago)
		u := update("testing", nil)
		s.say(5*time.Hour, "bodhi.update.comment", body{"agent": tester, "comment": body{"author": tester, "karma": karma, "text": pick(w, text...), "update": u, "user": body{"name": tester}}})
		if w.chance(8) {
			s.say(time.Minute, "fedbadges.badge.award", w.badge(tester))
		}
	}
	if good < 0 {
		s.say(2*time.Hour, "bodhi.update.request.unpush", body{"agent": who, "update": update("testing", "unpush")})
	} else if satisfied {
		s.say(40*time.Hour, "bodhi.update.request.stable", body{"agent": who, "update": update("testing", "stable")})
		s.say(14*time.Hour, "bodhi.update.complete.stable", body{"update": update("stable", nil)})
	}
	return s
}

func (w *World) hash() string {
	return fmt.Sprintf("%016x%016x%08x", w.rng.Uint64(), w.rng.Uint64(), w.rng.Uint32())
}

// build is a build in Koji; it reports whether it went well.
func (s *story) build(who, pkg, version, release, branch string, percent int) bool {
	id, task := s.w.next(), s.w.next()
	state := func(before any, after int) body {
		return body{"name": pkg, "version": version, "release": release, "owner": who, "old": before, "new": after, "build_id": id, "task_id": task, "instance": "primary", "attribute": "state"}
	}
	s.say(2*time.Minute, "buildsys.build.state.change", state(nil, 0))
	if !s.w.chance(percent) {
		s.say(9*time.Minute, "buildsys.build.state.change", state(0, 3))
		return false
	}
	s.say(14*time.Minute, "buildsys.build.state.change", state(0, 1))
	tag := branch + "-updates-candidate"
	if branch == "rawhide" {
		tag = "f45"
	}
	s.say(10*time.Second, "buildsys.tag", body{"name": pkg, "version": version, "release": release, "tag": tag, "tag_id": 501, "build_id": id, "user": "bodhi", "owner": who, "instance": "primary"})
	return true
}

var badges = [][2]string{
	{"Is this thing on?", "Updated the status of a test machine"}, {"Early Bird", "Tested an update on the day it came"}, {"Speak Up!", "Took part in a meeting"},
	{"Junior Packager", "Built ten packages"}, {"Tester I", "Gave feedback on an update"}, {"White Rabbit", "Tested before breakfast"}, {"Crypto Panda", "Added a GPG key"},
}

func (w *World) badge(who string) body {
	b := badges[w.rng.IntN(len(badges))]
	return body{"badge": body{"name": b[0], "description": b[1], "image_url": "https://badges.example.org/pngs/badge.png", "badge_id": "badge"}, "user": body{"username": who, "badges_user_id": 5}}
}

// small is what is said once, or leads to little.
func (w *World) small(at time.Time, ago int) *story {
	s, who := w.begin(at), w.who(ago)
	switch w.rng.IntN(9) {
	case 0:
		s.say(0, "wiki.article.edit", body{"user": who, "title": pick(w, "Changes/Faster boot", "SIGs/Go", "How to debug a build", "Fedora 45 schedule", "Talk:Packaging"),
			"minor_edit": w.rng.IntN(2), "summary": pick(w, "typo", "new section", "dates"), "url": "https://wiki.example.org/w/index.php?diff=2"})
	case 1:
		project := body{"id": 17, "name": pick(w, "releng", "workstation", "infrastructure"), "namespace": nil, "parent": nil, "description": "tickets", "user": body{"name": "alice", "fullname": "alice"}, "tags": []string{}}
		issue := body{"id": 9000 + w.next()%997, "title": pick(w, "Please block a package", "The mirror list is slow", "New branch wanted", "Wallpaper for the beta"), "status": "Open", "private": false,
			"assignee": nil, "tags": []string{}, "user": body{"name": who, "fullname": who}}
		issue["comments"] = []body{}
		s.say(0, "pagure.issue.new", body{"agent": who, "project": project, "issue": issue})
		other := w.who(ago)
		issue["comments"] = []body{{"id": 501, "comment": pick(w, "I will look at it today.", "Done, please check.", "Which branch?"), "user": body{"name": other, "fullname": other}, "parent": nil}}
		s.say(50*time.Minute, "pagure.issue.comment.added", body{"agent": other, "project": project, "issue": issue})
	case 2:
		s.say(0, "planet.post.new", body{"username": who, "name": who, "post": body{"title": pick(w, "A week in packaging", "What I learnt from a failing test", "Why our builds are faster now", "Growing a community", "Notes from the conference"),
			"summary": "It takes patience.", "link": "https://blog.example.org/" + who}})
	case 3, 4:
		pkg, version := w.often(packages), fmt.Sprintf("%d.%d", 1+w.rng.IntN(9), w.rng.IntN(30))
		project := body{"backend": "GitHub", "homepage": "https://" + pkg + ".example.org", "id": w.next() % 9999, "name": pkg, "version": version, "versions": []string{version}}
		message := body{"agent": "anitya", "upstream_version": version, "old_version": "1.0", "packages": []body{{"package_name": pkg, "distro": "Fedora"}}, "project": project}
		s.say(0, "anitya.project.version.update", body{"project": project, "distro": nil, "message": message})
		s.say(3*time.Minute, "hotness.update.bug.file", body{"bug": body{"bug_id": w.next()}, "package": pkg,
			"trigger": body{"topic": "org.release-monitoring.prod.anitya.project.version.update", "msg_id": "2026-1", "msg": body{"project": project, "message": message}}})
	case 5:
		playbook := "/srv/web/infra/ansible/playbooks/groups/" + pick(w, "proxies.yml", "builders.yml", "mirrors.yml")
		s.say(0, "ansible.playbook.start", body{"userid": who, "playbook": playbook, "check": false, "inventory": "/srv/web/infra/ansible/inventory/"})
		s.say(11*time.Minute, "ansible.playbook.complete", body{"userid": who, "playbook": playbook,
			"results": body{"proxy01.example.org": body{"ok": 12, "changed": w.rng.IntN(3), "failures": 0, "skipped": 3, "unreachable": 0}}})
	case 6:
		s.say(0, "fedbadges.badge.award", w.badge(who))
	case 7:
		group := pick(w, "packager", "qa", "docs", "ambassadors")
		s.say(0, "fas.group.member.apply", body{"agent": who, "user": who, "group": group})
		s.say(3*time.Hour, "fas.group.member.sponsor", body{"agent": "sponsor-" + group, "user": who, "group": group})
	default:
		pkg := w.often(packages)
		s.say(0, "koschei.package.state.change", body{"name": pkg, "koji_instance": "primary", "repo": "f45", "collection": "f45", "collection_name": "Fedora 45", "groups": []string{}, "old": pick(w, "ok", "failing"), "new": pick(w, "ok", "failing")})
	}
	return s
}

// nightly is a machine that builds everything all the time.
func (w *World) nightly(at time.Time) *story {
	s, pkg := w.begin(at), w.often(packages)
	id := w.next()
	version := fmt.Sprintf("%d.%d-0.%d.git", 1+w.rng.IntN(9), w.rng.IntN(20), 1+w.rng.IntN(900))
	chroot := pick(w, "fedora-rawhide-x86_64", "fedora-44-x86_64", "fedora-44-aarch64", "epel-10-x86_64")
	b := body{"build": id, "user": "packit", "owner": "packit", "copr": pkg + "-nightly", "chroot": chroot, "pkg": pkg, "version": version, "ip": "192.0.2.7", "who": "worker-1", "pid": 4242}
	s.say(0, "copr.build.start", b)
	b["status"] = pick(w, 1, 1, 1, 1, 0)
	s.say(6*time.Minute, "copr.build.end", b)
	return s
}

// compose is the distribution made anew, and tried.
func (w *World) compose(at time.Time) *story {
	s := w.begin(at)
	id := "Fedora-Rawhide-" + at.Format("20060102") + ".n.0"
	where := "https://kojipkgs.example.org/compose/rawhide/" + id + "/compose"
	s.say(0, "pungi.compose.status.change", body{"compose_id": id, "location": where, "status": "STARTED"})
	for _, phase := range []string{"pkgset", "buildinstall", "gather", "createrepo", "image_build", "createiso"} {
		s.say(20*time.Minute, "pungi.compose.phase.start", body{"compose_id": id, "location": where, "phase_name": phase})
		s.say(15*time.Minute, "pungi.compose.phase.stop", body{"compose_id": id, "location": where, "phase_name": phase})
	}
	if w.chance(15) {
		s.say(10*time.Minute, "pungi.compose.status.change", body{"compose_id": id, "location": where, "status": "DOOMED"})
		return s
	}
	s.say(30*time.Minute, "pungi.compose.status.change", body{"compose_id": id, "location": where, "status": "FINISHED_INCOMPLETE"})
	for left := 24; left > 0; left-- {
		s.say(3*time.Minute, "openqa.job.done", body{"id": w.next(), "BUILD": id, "TEST": pick(w, "install_default", "desktop_login", "server_cockpit_default", "base_update_cli", "install_blivet_btrfs"),
			"MACHINE": pick(w, "64bit", "uefi"), "FLAVOR": "Server-dvd-iso", "ARCH": "x86_64", "ISO": "Fedora-Server-dvd-x86_64-Rawhide.iso", "remaining": left - 1, "result": pick(w, "passed", "passed", "passed", "passed", "softfailed", "failed")})
	}
	return s
}

func (w *World) meeting(at time.Time, ago int) *story {
	s, who := w.begin(at), w.who(ago)
	about := pick(w, "Engineering steering", "Quality assurance", "Server", "Infrastructure", "Go SIG")
	b := func(topic string) body {
		return body{"meeting_topic": about, "attendees": body{who: 9, w.who(ago): 4, w.who(ago): 2, "zodbot": 5}, "chairs": body{who: true},
			"url": "https://meetbot.example.org/meeting/" + at.Format(time.DateOnly), "owner": who, "channel": "#meeting", "topic": topic}
	}
	s.say(0, "meetbot.meeting.start", b(""))
	for _, topic := range []string{"Roll call", "Old business", "New business", "Open floor"} {
		s.say(9*time.Minute, "meetbot.meeting.topic.update", b(topic))
	}
	s.say(14*time.Minute, "meetbot.meeting.complete", b("Open floor"))
	return s
}

func (w *World) mirrors(at time.Time) *story {
	s := w.begin(at)
	hosts := make([]body, 40+w.rng.IntN(20))
	results := make([]body, len(hosts))
	for i := range hosts {
		hosts[i] = body{"id": i, "name": fmt.Sprintf("mirror%02d.example.org", i)}
		results[i] = body{"host": hosts[i], "rc": pick(w, 0, 0, 0, 0, 0, 1)}
	}
	s.say(0, "mirrormanager.crawler.start", body{"threads": 20, "timeout_minutes": 180, "hosts": hosts})
	s.say(70*time.Minute, "mirrormanager.crawler.complete", body{"hosts": hosts, "results": results})
	return s
}

// election is what is talked about every half a year.
func (w *World) election(at time.Time) *story {
	s := w.begin(at)
	election := body{"id": 9, "name": "Fedora 45", "year": at.Year(), "date_start": at.Unix(), "date_end": at.Unix() + 600000, "submission_date_start": at.Unix() - 600000}
	for _, name := range []string{"Sunset", "A calm sea", "Mountains at night"} {
		who := w.who(20)
		s.say(25*time.Minute, "nuancier.candidate.new", body{"agent": who, "candidate": body{"name": name, "author": who, "submitter": who, "license": "CC-BY-SA", "original_url": nil}, "election": election})
	}
	return s
}

// rebuild is the day on which everything is built anew.
func (w *World) rebuild(at time.Time) []Said {
	var all []Said
	for round := range 5 {
		for i, pkg := range packages {
			s := w.begin(at.Add(time.Duration(round)*100*time.Minute + time.Duration(i)*75*time.Second + time.Duration(w.rng.IntN(40))*time.Second))
			if round > 0 {
				pkg = fmt.Sprintf("%s-%s", []string{"", "python", "perl", "rust", "golang"}[round], pkg)
			}
			s.say(0, "git.receive", body{"commit": body{"username": "releng", "name": "releng", "email": "releng@example.org", "repo": pkg, "namespace": "rpms", "branch": "rawhide", "rev": w.hash(),
				"summary": "Rebuilt for the Fedora 45 mass rebuild", "message": "Rebuilt for the Fedora 45 mass rebuild\n",
				"stats": body{"files": body{pkg + ".spec": body{"additions": 3, "deletions": 1, "lines": 4}}, "total": body{"files": 1, "lines": 4}}}})
			s.build("releng", pkg, fmt.Sprintf("%d.%d", 1+w.rng.IntN(9), w.rng.IntN(20)), "2.fc45", "rawhide", 93)
			all = append(all, s.said...)
		}
	}
	return all
}
