// node visit.js GATEWAY <PAGES: takes a JSON list of HTML texts and visits each with happy-dom: serves it, opens it, runs its scripts,
// leaves it. Loading the tag, beacons and images are real HTTP; of a browser there is only the document model. The shop passes what
// it is asked under /v1/ on to the gateway, as a shop may that wants the tag to come from itself.
import { createServer, request as ask } from 'node:http';
import { Browser } from 'happy-dom';

let given = '';
for await (const piece of process.stdin) given += piece;
const pages = JSON.parse(given);

const shop = createServer((request, response) => {
  if (request.url.startsWith('/v1/')) {
    const { method, headers } = request;
    const onward = ask(process.argv[2] + request.url, { method, headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
    return;
  }
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(pages[Number(request.url.slice(1))]);
});
await new Promise((ready) => shop.listen(0, '127.0.0.1', ready));
const settings = {
  enableJavaScriptEvaluation: true,
  suppressInsecureJavaScriptEnvironmentWarning: true,
  enableImageFileLoading: true,
};
for (const number of pages.keys()) {
  const browser = new Browser({ console, settings });
  const page = browser.newPage();
  await page.goto(`http://127.0.0.1:${shop.address().port}/${number}`);
  await page.waitUntilComplete();
  const { window } = page.mainFrame;
  window.dispatchEvent(new window.Event('pagehide'));
  await page.waitUntilComplete();
  await browser.close();
}
shop.close();
