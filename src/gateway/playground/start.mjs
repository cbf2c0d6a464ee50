/* global document, location, React, ReactDOM, GraphiQL */
const key = `first-order-${Date.now().toString(36)}`;
const tabs = JSON.parse(document.getElementById('tabs').textContent);
/** What is written into the editor for headers goes before these. */
const headers = JSON.parse(document.getElementById('login').textContent);
/** Subscriptions go over WebSocket, to the same address. */
const subscriptionUrl = `${location.protocol.replace('http', 'ws')}//${location.host}/graphql`;
const defaultTabs = tabs.map((tab) => ({ ...tab, query: tab.query.replaceAll('{{key}}', key) }));

const graphiql = React.createElement(
  GraphiQL,
  {
    fetcher: GraphiQL.createFetcher({ url: '/graphql', headers, subscriptionUrl, wsConnectionParams: headers }),
    defaultTabs,
    defaultEditorToolsVisibility: false,
    isHeadersEditorEnabled: true,
    shouldPersistHeaders: false,
  },
  React.createElement(GraphiQL.Logo, null, ' '),
);
ReactDOM.createRoot(document.getElementById('playground')).render(graphiql);
