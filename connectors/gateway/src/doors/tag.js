// Tells the gateway that it came from what a page's visitor did, as far as the visitor lets it.
// It sets no cookie and keeps nothing on the device.
(function (w, d, n) {
  var script = d.currentScript, site = script.dataset, door = script.src.replace(/tag\.js.*$/, 'pixel');
  var early = (w.hostread || {}).q || [], held = [];
  // Who was asked for consent, and the answer: null until there is one. What the page said before this was loaded is heard first.
  var said = { early: null };

  // 1 or 0; null while somebody has not answered; undefined when nobody was asked.
  function consent() {
    var answers = Object.values(said);
    return answers.includes(0) ? 0 : answers.includes(null) ? null : answers[0];
  }

  function send(hit, answer) {
    if (answer !== undefined) hit.set('consent', answer);
    if (!(n.sendBeacon && n.sendBeacon(door, hit))) new Image().src = door + '.gif?' + hit;
  }

  // What is held goes once it may, or without an address when the visitor leaves.
  function flush(leaving) {
    var answer = consent();
    if (answer === null && leaving) answer = 0;
    if (answer !== null) held.splice(0).forEach(function (hit) { send(hit, answer); });
  }

  function answered(who, yes) {
    said[who] = yes ? 1 : 0;
    flush();
  }

  w.hostread = function (kind, fields) {
    if (kind === 'consent') return answered('page', fields);
    var hit = new URLSearchParams({ k: site.key, store: site.store, kind: kind,
      id: Date.now().toString(36) + Math.random().toString(36).slice(2) });
    for (var name in fields) {
      if (/^(order|value|currency|code|id|store)$/.test(name)) {
        if (fields[name] != null) hit.set(name, fields[name]);
      } else console.warn('hostread: unknown field ' + name);
    }
    if (held.push(hit) > 50) held.shift();
    flush();
  };

  if (n.globalPrivacyControl) said.gpc = 0;
  if (site.consent) said.page = site.consent === 'granted' ? 1 : site.consent === 'denied' ? 0 : null;
  if (w.__tcfapi) {
    said.tcf = null;
    w.__tcfapi('addEventListener', 2, function (tc, ok) {
      if (ok && (tc.gdprApplies === false || /tcloaded|useractioncomplete/.test(tc.eventStatus)))
        answered('tcf', tc.gdprApplies === false || tc.purpose.consents[7]);
    });
  }
  if (w.__gpp) {
    said.gpp = null;
    w.__gpp('addEventListener', function (event, ok) {
      if (!ok || event.pingData.signalStatus !== 'ready') return;
      answered('gpp', !Object.values(event.pingData.parsedSections || {}).flat().some(function (part) {
        return part.SaleOptOut === 1 || part.SharingOptOut === 1 || part.TargetedAdvertisingOptOut === 1 ||
          part.Gpc === true || (part.PurposeConsents && !part.PurposeConsents[6]);
      }));
    });
  }
  w.addEventListener('pagehide', function () { flush(true); });
  if (site.page !== 'off') w.hostread('page');
  early.forEach(function (call) { w.hostread.apply(w, call); });
  delete said.early;
  flush();
})(window, document, navigator);
