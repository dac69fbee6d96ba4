// npm start: makes the checkout ready, then becomes the engine.
await import('./prepare.mjs');
await import('../dist/engine/main.js');
