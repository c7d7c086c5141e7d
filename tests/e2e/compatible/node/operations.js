// Every operation of the four resources with the vendor's Node SDK, unchanged but for the base URL.
// Reads {baseUrl, account, token, service, chat, user, chatSids} as JSON on standard input, writes what it saw on
// standard output. A failed assertion, or an error that was not expected, ends it with status 1.
"use strict";

const assert = require("node:assert/strict");
const { readFileSync } = require("node:fs");
const twilio = require("twilio");

const given = JSON.parse(readFileSync(0, "utf8"));
const client = twilio(given.account, given.token);
client.notify.baseUrl = client.chat.baseUrl = given.baseUrl;
client.conversations.baseUrl = `${given.baseUrl}/conversations`;

async function refused(promise, status, code) {
  const error = await promise.then(() => assert.fail("was not refused"), (caught) => caught);
  assert.equal(error.status, status, String(error));
  assert.equal(error.code, code, String(error));
  assert.equal(error.moreInfo, `https://www.twilio.com/docs/errors/${code}`);
}

async function notify() {
  const bindings = client.notify.v1.services(given.service).bindings;
  const created = await bindings.create({
    identity: "a user & co", bindingType: "apn", address: "Unit 3856 Box 3973\nDPO AA 31194", tag: ["lone tag"],
  });
  assert.deepEqual(created.tags, ["lone tag"]);
  assert.equal(created.identity, "a user & co");
  assert.equal(created.notificationProtocolVersion, "3");
  assert.ok(Math.abs(created.dateCreated - new Date()) < 60_000);
  assert.equal(created.dateCreated.getMilliseconds(), 0);

  const fetched = await bindings(created.sid).fetch();
  assert.deepEqual(fetched.toJSON(), created.toJSON());

  for (let n = 0; n < 6; n++) {
    await bindings.create({ identity: `user ${n}`, bindingType: "fcm", address: `address ${n}`, tag: ["a", "b"] });
  }
  const sids = (found) => found.map((binding) => binding.sid);
  assert.equal((await bindings.list({ pageSize: 3 })).length, 7);
  assert.equal((await bindings.list({ limit: 1000 })).length, 7);
  assert.equal((await bindings.list({ limit: 4, pageSize: 3 })).length, 4);
  assert.deepEqual(sids(await bindings.list({ identity: "a user & co" })), [created.sid]);
  assert.deepEqual(sids(await bindings.list({ tag: ["lone tag", "all"] })), [created.sid]);
  assert.equal((await bindings.list({ tag: ["b", "a", "fcm"], identity: ["user 1", "user 2"] })).length, 2);
  const today = new Date(created.dateCreated.toISOString().slice(0, 10));
  assert.equal((await bindings.list({ startDate: today, endDate: today, pageSize: 2 })).length, 7);

  const first = await bindings.page({ pageSize: 3 });
  const second = await first.nextPage();
  assert.deepEqual(sids((await second.previousPage()).instances), sids(first.instances));

  assert.equal(await fetched.remove(), true);
  await refused(bindings(created.sid).fetch(), 404, 20404);
  await refused(bindings.create({ identity: "x", bindingType: "web", address: "a" }), 400, 20001);
  await refused(bindings.list({ tag: ["1", "2", "3", "4", "5", "6"] }), 400, 20001);
}

async function chat() {
  const service = client.chat.v2.services(given.chat);
  const expected = [...given.chatSids].sort();
  const sorted = (found) => found.map((binding) => binding.sid).sort();
  assert.deepEqual(sorted(await service.bindings.list({ pageSize: 2 })), expected);
  assert.deepEqual(sorted(await service.bindings.list({ bindingType: ["fcm"], identity: [given.user] })), expected);
  assert.deepEqual(await service.bindings.list({ bindingType: ["apn", "gcm"] }), []);

  const [one, two, three] = expected;
  const binding = await service.bindings(one).fetch();
  assert.equal(binding.identity, given.user);
  assert.equal(typeof binding.links.user, "string");

  const user = service.users(given.user);
  assert.deepEqual(sorted(await user.userBindings.list({ pageSize: 2 })), expected);
  assert.deepEqual(sorted(await user.userBindings.list({ bindingType: ["fcm"] })), expected);
  const userBinding = await user.userBindings(one).fetch();
  assert.equal(userBinding.sid, one);
  assert.ok(Math.abs(userBinding.dateUpdated - new Date()) < 60_000);
  const bySid = service.users(userBinding.userSid).userBindings;
  assert.deepEqual((await bySid(one).fetch()).url, userBinding.url);

  assert.equal(await user.userBindings(two).remove(), true);
  assert.equal(await service.bindings(three).remove(), true);
  await refused(service.bindings(two).fetch(), 404, 20404);
  await refused(user.userBindings(three).fetch(), 404, 20404);
  await refused(service.users("nobody").userBindings.list(), 404, 20404);
  assert.deepEqual(sorted(await bySid.list()), [one]);
}

async function conversations() {
  const bindings = client.conversations.v1.services(given.chat).bindings;
  const [left] = await bindings.list({ pageSize: 1 });
  assert.equal(left.identity, given.user);
  assert.equal(left.chatServiceSid, given.chat);
  assert.equal((await bindings.list({ bindingType: ["fcm"], identity: [given.user] })).length, 1);
  assert.deepEqual(await bindings.list({ bindingType: ["twilsock"] }), []);
  assert.deepEqual((await bindings(left.sid).fetch()).toJSON(), left.toJSON());
  assert.equal(await bindings(left.sid).remove(), true);
  await refused(bindings(left.sid).fetch(), 404, 20404);
  assert.deepEqual(await bindings.list(), []);
}

async function strangers() {
  const stranger = twilio(given.account, "wrong");
  stranger.notify.baseUrl = given.baseUrl;
  await refused(stranger.notify.v1.services(given.service).bindings.list(), 401, 20003);
}

async function main() {
  await notify();
  await chat();
  await conversations();
  await strangers();
}

main().then(
  () => process.stdout.write("every operation passed\n"),
  (error) => {
    process.stderr.write(`${error.stack ?? error}\n`);
    process.exitCode = 1;
  },
);
